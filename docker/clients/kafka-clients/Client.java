import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.LinkedBlockingQueue;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.Metric;
import org.apache.kafka.common.MetricName;
import org.apache.kafka.common.TopicPartition;

/** One client inside the driver: a thread that runs its commands in order, one at a time. */
abstract class Client implements Runnable {
  /** Returned by a command whose completion is reported by a callback. */
  static final ObjectNode ANSWERED_LATER = Wire.object();

  private static final JsonNode END = Wire.object().put("op", "end");

  final Wire wire;
  final String name;
  final Map<String, Client> siblings;
  final Set<Long> stoppedLoops = ConcurrentHashMap.newKeySet();
  volatile boolean finished;
  volatile long closeByNs = Long.MAX_VALUE;
  private final BlockingQueue<JsonNode> commands = new LinkedBlockingQueue<>();
  private final Thread thread;

  Client(Wire wire, String name, Map<String, Client> siblings) {
    this.wire = wire;
    this.name = name;
    this.siblings = siblings;
    this.thread = new Thread(this, "client-" + name);
    this.thread.setDaemon(true);
  }

  void start() {
    thread.start();
  }

  /** Queue a command; a close takes effect on what runs. */
  void take(JsonNode command) {
    if (command.get("op").asText().equals("close")) {
      askToClose(command.get("timeout_ms").asLong());
    }
    commands.add(command);
    if (finished) { // it ended between the look at it and here: nobody reads the queue
      refuseRest();
    }
  }

  /** Answer the commands that wait behind a close; any thread may do so. */
  private void refuseRest() {
    for (JsonNode each = commands.poll(); each != null; each = commands.poll()) {
      if (each != END) {
        answer(each, "invoke", null);
        ObjectNode fields = Wire.object();
        fields.set("error", Outcomes.describe("client '" + name + "' is not open"));
        answer(each, "fail", fields);
      }
    }
  }

  void shut(long timeoutMs) {
    askToClose(timeoutMs);
    commands.add(END);
  }

  void join(long timeoutMs) throws InterruptedException {
    thread.join(timeoutMs);
  }

  boolean closing() {
    return closeByNs != Long.MAX_VALUE;
  }

  private void askToClose(long timeoutMs) {
    closeByNs = System.nanoTime() + timeoutMs * 1_000_000;
    interruptWork();
  }

  long leftMs() {
    return Math.max(0, (closeByNs - System.nanoTime()) / 1_000_000);
  }

  @Override
  public void run() {
    try {
      while (!finished) {
        JsonNode command = commands.take();
        if (command == END) {
          closeNative();
          return;
        }
        execute(command);
      }
      refuseRest();
    } catch (InterruptedException error) {
      Thread.currentThread().interrupt();
    }
  }

  private void execute(JsonNode command) {
    String op = command.get("op").asText();
    answer(command, "invoke", null);
    try {
      ObjectNode fields = op.equals("close") ? close() : operate(op, command);
      finished = op.equals("close");
      if (fields != ANSWERED_LATER) {
        answer(command, "ok", fields);
      }
    } catch (Outcomes.Ended ended) {
      answer(command, ended.kind, ended.fields);
    } catch (Exception | LinkageError error) { // whatever a client raises is reported, never hidden
      finished = op.equals("open") || op.equals("close");
      ObjectNode fields = Wire.object();
      fields.set("error", Outcomes.describe(error));
      answer(command, Outcomes.ofCommand(op, error), fields);
    }
  }

  private ObjectNode close() throws Exception {
    closeNative();
    return null;
  }

  /** Run one operation of the role and return its fields; unknown ones raise. */
  abstract ObjectNode operate(String op, JsonNode command) throws Exception;

  /** Close as the client itself does it; safe when open failed. */
  abstract void closeNative();

  /** Called from another thread when a close was asked for. */
  void interruptWork() {}

  /** Records that the client holds, or null. */
  Long buffered() {
    return null;
  }

  abstract Map<MetricName, ? extends Metric> metrics();

  void event(String type, ObjectNode fields) {
    fields.put("client", name);
    wire.emit(type, fields);
  }

  void answer(JsonNode command, String kind, ObjectNode fields) {
    ObjectNode event = fields == null ? Wire.object() : fields;
    event.set("id", command.get("id"));
    event.set("op", command.get("op"));
    event(kind, event);
  }

  static ObjectNode unknown(String op) {
    throw new IllegalArgumentException(op + ": not an operation of this client's role");
  }

  // The contract's lists of partitions and offsets.

  static List<TopicPartition> partitions(JsonNode rows) {
    List<TopicPartition> found = new ArrayList<>();
    for (JsonNode row : rows) {
      found.add(new TopicPartition(row.get(0).asText(), row.get(1).asInt()));
    }
    return found;
  }

  static ArrayNode rows(Iterable<TopicPartition> partitions) {
    ArrayNode rows = Wire.JSON.createArrayNode();
    for (TopicPartition each : partitions) {
      rows.addArray().add(each.topic()).add(each.partition());
    }
    return rows;
  }

  static void addOffset(ArrayNode rows, TopicPartition partition, long offset) {
    rows.addArray().add(partition.topic()).add(partition.partition()).add(offset);
  }

  static ObjectNode offsets(Map<TopicPartition, OffsetAndMetadata> found) {
    ObjectNode fields = Wire.object();
    ArrayNode rows = fields.putArray("offsets");
    found.forEach((partition, at) -> addOffset(rows, partition, at == null ? -1 : at.offset()));
    return fields;
  }
}

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.common.utils.AppInfoParser;

/**
 * The driver of kafka-clients: obeys docs/driver-contract.md on stdin and stdout.
 *
 * <p>The main thread reads commands and never waits for a client; each client has a thread of its
 * own. Compiled against one version of kafka-clients, it runs with 2.8 to 4.3: what is used of the
 * client exists in all of them. Where an option takes a class, any class of the client's own jars
 * can be named; the driver adds none.
 */
public final class Driver {
  private static final int CONTRACT = 1;
  private static final long EXIT_MS = 10_000;
  private static final Map<String, List<String>> FIELDS =
      Map.ofEntries(
          Map.entry("open", List.of("role", "bootstrap")),
          Map.entry("send", List.of("topic", "records")),
          Map.entry("subscribe", List.of("topics")),
          Map.entry("assign", List.of("partitions")),
          Map.entry("poll", List.of("max_records", "timeout_ms")),
          Map.entry("commit", List.of("mode")),
          Map.entry("committed", List.of("partitions")),
          Map.entry("position", List.of("partitions")),
          Map.entry("seek", List.of("offsets")),
          Map.entry("pause", List.of("partitions")),
          Map.entry("resume", List.of("partitions")),
          Map.entry("txn", List.of("action")),
          Map.entry("close", List.of("timeout_ms")),
          Map.entry("create_topic", List.of("topic", "partitions", "replication")),
          Map.entry("describe_cluster", List.of()),
          Map.entry("end_offsets", List.of("partitions")),
          Map.entry("group_offsets", List.of("group", "partitions")),
          Map.entry("produce", List.of("topic", "record_bytes")),
          Map.entry("consume", List.of("style")));

  private final Wire wire = new Wire();
  private final Map<String, Client> clients = new ConcurrentHashMap<>();
  private final AtomicBoolean ending = new AtomicBoolean();

  private Driver() {}

  public static void main(String[] args) throws IOException {
    System.setProperty("org.slf4j.simpleLogger.defaultLogLevel", "warn");
    System.setProperty("org.slf4j.simpleLogger.showDateTime", "true");
    Driver driver = new Driver();
    Runtime.getRuntime().addShutdownHook(new Thread(driver::end, "end"));
    driver.hello();
    InputStream in = new BufferedInputStream(System.in, 1 << 16);
    for (byte[] line = line(in); line != null; line = line(in)) {
      driver.take(line);
    }
    driver.end();
  }

  private static byte[] line(InputStream in) throws IOException {
    ByteArrayOutputStream line = new ByteArrayOutputStream(256);
    int next = in.read();
    if (next < 0) {
      return null;
    }
    while (next >= 0 && next != '\n') {
      line.write(next);
      next = in.read();
    }
    return line.toByteArray();
  }

  private void hello() {
    ObjectNode hello = Wire.object();
    hello.put("contract", CONTRACT).put("driver", "kafka-clients");
    hello
        .putObject("client")
        .put("name", "kafka-clients")
        .put("version", AppInfoParser.getVersion())
        .put("library", "kafka-clients " + AppInfoParser.getCommitId());
    hello.putObject("runtime").put("name", "java").put("version", Runtime.version().toString());
    hello.put("pid", ProcessHandle.current().pid());
    hello.put("wall_ns", wallNs());
    ArrayNode capabilities = hello.putArray("capabilities");
    capabilities().forEach(capabilities::add);
    wire.emit("hello", hello);
  }

  /** Not buffered-records: the consumer of this client does not show what it has fetched. */
  private static List<String> capabilities() {
    List<String> found =
        new ArrayList<>(
            List.of(
                "produce", "consume", "admin", "idempotence", "transactions", "cooperative",
                "static-membership", "pause", "seek", "generation", "position", "commit-sync",
                "commit-async", "auto-commit", "loop-produce", "loop-consume-poll",
                "loop-consume-batch", "compression-gzip", "compression-snappy", "compression-lz4",
                "compression-zstd", "heap", "headers", "null-headers",
                "repeated-headers", "tls", "sasl-plain", "sasl-scram", "oauthbearer"));
    if (ConsumerConfig.configNames().contains("group.protocol")) {
      found.add("kip848");
    }
    return found;
  }

  private static long wallNs() {
    java.time.Instant now = java.time.Instant.now();
    return now.getEpochSecond() * 1_000_000_000L + now.getNano();
  }

  /** Carry out one line; one that cannot be is answered, and the driver lives on. */
  private void take(byte[] line) {
    JsonNode command = null;
    try {
      command = Wire.JSON.readTree(line);
      if (command == null || !command.isObject()) {
        throw new IllegalArgumentException("expected a JSON object");
      }
      dispatch(command);
    } catch (IOException | RuntimeException error) {
      refuse(command, error);
    }
  }

  private void dispatch(JsonNode command) {
    need(command, List.of("id", "op"));
    String op = command.get("op").asText();
    switch (op) {
      case "clock" -> now(command, Wire.object().put("wall_ns", wallNs()));
      case "stats" -> {
        ObjectNode fields = Wire.object();
        Client client = command.hasNonNull("client") ? client(command) : null;
        fields.set("runtime", RuntimeMetrics.of(client));
        now(command, fields);
      }
      case "stop" -> {
        need(command, List.of("loop"));
        clients.values().forEach(c -> c.stoppedLoops.add(command.get("loop").asLong()));
        now(command, Wire.object());
      }
      case "open" -> {
        need(command, FIELDS.get(op));
        open(command).take(command);
      }
      default -> {
        if (!FIELDS.containsKey(op)) {
          throw new IllegalArgumentException("unknown op '" + op + "'");
        }
        need(command, FIELDS.get(op));
        client(command).take(command);
      }
    }
  }

  private static void need(JsonNode command, List<String> fields) {
    for (String field : fields) {
      if (!command.has(field)) {
        throw new IllegalArgumentException("expected the field '" + field + "'");
      }
    }
  }

  private Client client(JsonNode command) {
    need(command, List.of("client"));
    Client client = clients.get(command.get("client").asText());
    if (client == null || client.finished) {
      throw new IllegalArgumentException(
          "client '" + command.get("client").asText() + "' is not open");
    }
    return client;
  }

  private Client open(JsonNode command) {
    need(command, List.of("client"));
    String name = command.get("client").asText();
    String role = command.get("role").asText();
    Client before = clients.get(name);
    if (before != null && !before.finished) {
      throw new IllegalArgumentException("client '" + name + "' is open already");
    }
    Client client =
        switch (role) {
          case "producer" -> new ProducerClient(wire, name, clients);
          case "consumer" -> new ConsumerClient(wire, name, clients);
          case "admin" -> new AdminRole(wire, name, clients);
          default ->
              throw new IllegalArgumentException(
                  "role: expected producer, consumer or admin, found '" + role + "'");
        };
    clients.put(name, client);
    client.start();
    return client;
  }

  private ObjectNode base(JsonNode command) {
    ObjectNode base = Wire.object();
    base.set("id", command.get("id"));
    base.set("op", command.get("op"));
    base.set("client", command.get("client"));
    return base;
  }

  private void now(JsonNode command, ObjectNode fields) {
    wire.emit("invoke", base(command));
    wire.emit("ok", fields.setAll(base(command)));
  }

  private void refuse(JsonNode command, Exception error) {
    if (command != null && command.path("id").isIntegralNumber()) {
      wire.emit("invoke", base(command));
      ObjectNode fields = base(command);
      fields.set("error", Outcomes.describe(error));
      wire.emit("fail", fields);
    } else {
      ObjectNode fields = Wire.object().putNull("client").put("fatal", false);
      fields.set("error", Outcomes.describe(error));
      wire.emit("error", fields);
    }
  }

  /** Close every client, all at once, and leave with 0: at the end of stdin and on SIGTERM. */
  private void end() {
    try {
      if (!ending.compareAndSet(false, true)) {
        new CountDownLatch(1).await(); // the other way to end is at work and halts the process
      }
      clients.values().forEach(client -> client.shut(EXIT_MS));
      for (Client client : clients.values()) {
        client.join(EXIT_MS);
      }
    } catch (InterruptedException error) {
      Thread.currentThread().interrupt();
    }
    Runtime.getRuntime().halt(0);
  }
}

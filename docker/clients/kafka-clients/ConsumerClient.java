import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.clients.consumer.ConsumerGroupMetadata;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.Metric;
import org.apache.kafka.common.MetricName;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.errors.WakeupException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** The consumer role: polls, positions, commits, and what the group does to it. */
final class ConsumerClient extends Client implements ConsumerRebalanceListener {
  private static final ConsumerRecords<byte[], byte[]> NOTHING = ConsumerRecords.empty();
  private static final Duration POSITION_WAIT = Duration.ofMillis(200);

  private volatile KafkaConsumer<byte[], byte[]> consumer;
  private volatile boolean polling;
  volatile ConsumerGroupMetadata groupMetadata; // the consumer shows it to its own thread only
  private boolean grouped;
  private int maxPollRecords;
  private final Set<JsonNode> awaited = new LinkedHashSet<>();

  ConsumerClient(Wire wire, String name, Map<String, Client> siblings) {
    super(wire, name, siblings);
  }

  @Override
  ObjectNode operate(String op, JsonNode command) throws Exception {
    return switch (op) {
      case "open" -> open(command);
      case "subscribe" -> subscribe(command);
      case "assign" -> assign(command);
      case "poll" -> poll(command);
      case "commit" -> commit(command);
      case "committed" ->
          offsets(consumer.committed(new HashSet<>(partitions(command.get("partitions")))));
      case "position" -> position(command);
      case "seek" -> seek(command.get("offsets"));
      case "pause" -> done(() -> consumer.pause(partitions(command.get("partitions"))));
      case "resume" -> done(() -> consumer.resume(partitions(command.get("partitions"))));
      case "consume" -> new ConsumeLoop(this, command).run();
      default -> unknown(op);
    };
  }

  private static ObjectNode done(Runnable work) {
    work.run();
    return null;
  }

  private ObjectNode open(JsonNode command) {
    ByteArrayDeserializer bytes = new ByteArrayDeserializer();
    Map<String, Object> config = Config.of("consumer", command);
    grouped = config.containsKey("group.id");
    maxPollRecords = Integer.parseInt(String.valueOf(config.getOrDefault("max.poll.records", 500)));
    config.putIfAbsent("enable.auto.commit", String.valueOf(grouped));
    consumer = new KafkaConsumer<>(config, bytes, bytes);
    return null;
  }

  /** This client takes the limit when it is opened: another one in a loop would be ignored. */
  void checkMaxPollRecords(JsonNode command) {
    if (command.hasNonNull("max_poll_records")) {
      int wanted = command.get("max_poll_records").asInt();
      if (wanted != maxPollRecords) {
        throw new IllegalArgumentException(
            "max_poll_records: this consumer was opened with " + maxPollRecords
                + "; give " + wanted + " as config of open");
      }
    }
  }

  private ObjectNode subscribe(JsonNode command) {
    List<String> topics = new ArrayList<>();
    command.get("topics").forEach(topic -> topics.add(topic.asText()));
    consumer.subscribe(topics, this);
    return null;
  }

  private ObjectNode assign(JsonNode command) {
    consumer.assign(partitions(command.get("partitions")));
    return seek(command.get("partitions"));
  }

  private ObjectNode seek(JsonNode rows) {
    for (JsonNode row : rows) {
      if (row.hasNonNull(2)) {
        TopicPartition at = new TopicPartition(row.get(0).asText(), row.get(1).asInt());
        consumer.seek(at, row.get(2).asLong());
      }
    }
    return null;
  }

  /** One poll of the client; a close ends it early. */
  ConsumerRecords<byte[], byte[]> fetch(long timeoutMs) {
    polling = true;
    try {
      return closing() ? NOTHING : consumer.poll(Duration.ofMillis(timeoutMs));
    } catch (WakeupException woken) {
      return NOTHING;
    } finally {
      polling = false;
      if (grouped) {
        groupMetadata = consumer.groupMetadata();
      }
    }
  }

  private ObjectNode poll(JsonNode command) {
    ObjectNode fields = Wire.object();
    ArrayNode rows = fields.putArray("records");
    for (ConsumerRecord<byte[], byte[]> record : fetch(command.get("timeout_ms").asLong())) {
      Content.add(rows, record);
    }
    return fields;
  }

  private ObjectNode commit(JsonNode command) {
    Map<TopicPartition, OffsetAndMetadata> given = given(command);
    if (command.get("mode").asText().equals("sync")) {
      Map<TopicPartition, OffsetAndMetadata> offsets = given == null ? positions() : given;
      commitSync(given);
      return offsets(offsets);
    }
    awaited.add(command);
    try {
      commitAsync(given, (offsets, error) -> committed(command, offsets, error));
    } catch (RuntimeException error) {
      awaited.remove(command);
      throw error;
    }
    return ANSWERED_LATER;
  }

  void commitSync(Map<TopicPartition, OffsetAndMetadata> offsets) {
    if (offsets == null) {
      consumer.commitSync();
    } else {
      consumer.commitSync(offsets);
    }
  }

  void commitAsync(
      Map<TopicPartition, OffsetAndMetadata> offsets,
      org.apache.kafka.clients.consumer.OffsetCommitCallback callback) {
    if (offsets == null) {
      consumer.commitAsync(callback);
    } else {
      consumer.commitAsync(offsets, callback);
    }
  }

  private void committed(
      JsonNode command, Map<TopicPartition, OffsetAndMetadata> offsets, Exception error) {
    awaited.remove(command);
    ObjectNode fields = offsets(offsets == null ? Map.of() : offsets);
    if (error != null) {
      fields.set("error", Outcomes.describe(error));
    }
    answer(command, error == null ? "ok" : Outcomes.ofCommand("commit", error), fields);
  }

  private static Map<TopicPartition, OffsetAndMetadata> given(JsonNode command) {
    if (!command.hasNonNull("offsets")) {
      return null;
    }
    Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
    for (JsonNode row : command.get("offsets")) {
      TopicPartition at = new TopicPartition(row.get(0).asText(), row.get(1).asInt());
      offsets.put(at, new OffsetAndMetadata(row.get(2).asLong()));
    }
    return offsets;
  }

  /** What a commit without offsets commits: the client does not say it, but it is these. */
  private Map<TopicPartition, OffsetAndMetadata> positions() {
    Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
    for (TopicPartition each : consumer.assignment()) {
      try {
        offsets.put(each, new OffsetAndMetadata(consumer.position(each, POSITION_WAIT)));
      } catch (TimeoutException noPositionYet) {
        continue; // the client commits nothing for it
      }
    }
    return offsets;
  }

  private ObjectNode position(JsonNode command) {
    ObjectNode fields = Wire.object();
    ArrayNode rows = fields.putArray("offsets");
    for (TopicPartition each : partitions(command.get("partitions"))) {
      addOffset(rows, each, consumer.position(each));
    }
    return fields;
  }

  // What the group does; runs on the client's own thread, inside a poll or close.

  @Override
  public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
    report("assigned", partitions);
  }

  @Override
  public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
    report("revoked", partitions);
  }

  @Override
  public void onPartitionsLost(Collection<TopicPartition> partitions) {
    report("lost", partitions);
  }

  private void report(String kind, Collection<TopicPartition> partitions) {
    ConsumerGroupMetadata group = consumer.groupMetadata();
    ObjectNode fields = Wire.object();
    fields.set("partitions", rows(partitions));
    fields.put("generation", group.generationId() < 0 ? null : group.generationId());
    fields.put("member", group.memberId());
    event(kind, fields);
  }

  @Override
  void interruptWork() {
    KafkaConsumer<byte[], byte[]> running = consumer;
    if (running != null && polling) {
      running.wakeup();
    }
  }

  @Override
  void closeNative() {
    if (consumer == null) {
      return;
    }
    try {
      consumer.close(Duration.ofMillis(leftMs()));
    } finally {
      for (JsonNode command : List.copyOf(awaited)) {
        ObjectNode fields = Wire.object();
        fields.set("error", Outcomes.describe("closed before the commit was confirmed"));
        answer(command, "info", fields);
      }
    }
  }

  @Override
  Map<MetricName, ? extends Metric> metrics() {
    return consumer == null ? Map.of() : consumer.metrics();
  }
}

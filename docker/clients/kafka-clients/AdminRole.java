import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.DescribeClusterResult;
import org.apache.kafka.clients.admin.ListConsumerGroupOffsetsOptions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.Metric;
import org.apache.kafka.common.MetricName;
import org.apache.kafka.common.TopicPartition;

/** The admin role: what the lab itself needs to know of a cluster. */
final class AdminRole extends Client {
  private static final long TIMEOUT_MS = 30_000;
  private Admin admin;

  AdminRole(Wire wire, String name, Map<String, Client> siblings) {
    super(wire, name, siblings);
  }

  @Override
  ObjectNode operate(String op, JsonNode command) throws Exception {
    return switch (op) {
      case "open" -> open(command);
      case "create_topic" -> createTopic(command);
      case "describe_cluster" -> describeCluster();
      case "end_offsets" -> endOffsets(command);
      case "group_offsets" -> groupOffsets(command);
      default -> unknown(op);
    };
  }

  private ObjectNode open(JsonNode command) {
    admin = Admin.create(Config.of("admin", command));
    return null;
  }

  private static <T> T get(KafkaFuture<T> future) throws Exception {
    return future.get(TIMEOUT_MS, TimeUnit.MILLISECONDS);
  }

  private ObjectNode createTopic(JsonNode command) throws Exception {
    String name = command.get("topic").asText();
    int count = command.get("partitions").asInt();
    Map<String, String> configs = new HashMap<>();
    command
        .path("configs")
        .fields()
        .forEachRemaining(each -> configs.put(each.getKey(), each.getValue().asText()));
    NewTopic topic = new NewTopic(name, count, (short) command.get("replication").asInt());
    get(admin.createTopics(List.of(topic.configs(configs))).all());
    // The call asks until every partition has a leader and that leader serves.
    Map<TopicPartition, OffsetSpec> all = new HashMap<>();
    for (int partition = 0; partition < count; partition++) {
      all.put(new TopicPartition(name, partition), OffsetSpec.latest());
    }
    get(admin.listOffsets(all).all());
    return null;
  }

  private ObjectNode describeCluster() throws Exception {
    DescribeClusterResult found = admin.describeCluster();
    ObjectNode fields = Wire.object();
    ArrayNode brokers = fields.putArray("brokers");
    get(found.nodes()).stream().mapToInt(node -> node.id()).sorted().forEach(brokers::add);
    return fields.put("controller", get(found.controller()).id());
  }

  private ObjectNode endOffsets(JsonNode command) throws Exception {
    Map<TopicPartition, OffsetSpec> wanted = new HashMap<>();
    partitions(command.get("partitions")).forEach(p -> wanted.put(p, OffsetSpec.latest()));
    ObjectNode fields = Wire.object();
    ArrayNode rows = fields.putArray("offsets");
    get(admin.listOffsets(wanted).all()).forEach((p, at) -> addOffset(rows, p, at.offset()));
    return fields;
  }

  private ObjectNode groupOffsets(JsonNode command) throws Exception {
    String group = command.get("group").asText();
    Map<TopicPartition, OffsetAndMetadata> found =
        get(
            admin
                .listConsumerGroupOffsets(group, new ListConsumerGroupOffsetsOptions())
                .partitionsToOffsetAndMetadata());
    Map<TopicPartition, OffsetAndMetadata> wanted = new HashMap<>();
    partitions(command.get("partitions")).forEach(p -> wanted.put(p, found.get(p)));
    return offsets(wanted);
  }

  @Override
  void closeNative() {
    if (admin != null) {
      admin.close(Duration.ofMillis(leftMs()));
    }
  }

  @Override
  Map<MetricName, ? extends Metric> metrics() {
    return admin == null ? Map.of() : admin.metrics();
  }
}

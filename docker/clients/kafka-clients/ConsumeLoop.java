import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;

/** The consume loop: takes records as fast as the program works, and looks at every one of them. */
final class ConsumeLoop {
  private static final long POLL_MS = 100;

  private final ConsumerClient client;
  private final Meter meter;
  private final long workNs;
  private final String commit;
  private final Map<TopicPartition, Long> positions = new HashMap<>();

  ConsumeLoop(ConsumerClient client, JsonNode command) {
    this.client = client;
    String style = command.get("style").asText();
    if (!Set.of("poll", "batch").contains(style)) {
      throw new IllegalArgumentException(
          "style: this client has poll, batch, found '" + style + "'");
    }
    commit = command.hasNonNull("commit") ? command.get("commit").asText() : "none";
    if (!Set.of("none", "auto", "sync", "async").contains(commit)) {
      throw new IllegalArgumentException(
          "commit: expected none, auto, sync or async, found '" + commit + "'");
    }
    client.checkMaxPollRecords(command);
    workNs = (long) (command.path("work_us").asDouble(0) * 1000);
    meter = new Meter(client, command);
  }

  ObjectNode run() {
    Long most = meter.maxRecords();
    while (meter.tick() && (most == null || meter.allRecords() < most)) {
      ConsumerRecords<byte[], byte[]> records = client.fetch(POLL_MS);
      if (records.isEmpty()) {
        continue;
      }
      long now = System.nanoTime();
      meter.delivered(now);
      for (TopicPartition place : records.partitions()) {
        long before = positions.getOrDefault(place, -1L);
        positions.put(place, meter.look(place, records.records(place), before, now));
      }
      work(records.count());
      commit();
    }
    return meter.total();
  }

  private void work(int records) {
    long until = System.nanoTime() + workNs * records;
    while (System.nanoTime() < until && !client.closing()) {
      Thread.onSpinWait();
    }
  }

  private void commit() {
    try {
      if (commit.equals("sync")) {
        client.commitSync(null);
      } else if (commit.equals("async")) {
        client.commitAsync(null, (offsets, error) -> failed(error));
      }
    } catch (KafkaException error) {
      failed(error);
    }
  }

  private void failed(Exception error) {
    if (error == null) {
      return;
    }
    meter.error();
    ObjectNode fields = Wire.object();
    fields.set("error", Outcomes.describe(error));
    client.event("error", fields.put("fatal", false));
  }
}

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.HdrHistogram.Histogram;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.TopicPartition;

/**
 * The counters of one loop, and its life: an interval a second, the whole at the end.
 *
 * <p>Callbacks of the client run on its own thread, so everything here is under one lock, which is
 * hardly ever contended: the loop takes it only to report, and a consuming loop once a delivery and
 * partition.
 */
final class Meter {
  private static final long LATENCY_US_MAX = 3_600_000_000L;
  private static final long SAMPLE_NS = 1_000_000_000L;

  private final Client client;
  private final JsonNode command;
  private final long id;
  private final Long maxRecords;
  private final long endsAtNs;
  private long sampleAtNs;
  private Counters interval = new Counters();
  private final Counters whole = new Counters();
  private long deliveredNs;
  private long allRecords;

  private static final class Counters {
    long began = System.nanoTime();
    long records;
    long bytes;
    long errors;
    long corrupt;
    long outOfOrder;
    long valueSum;
    long gapNsMax;
    final Map<String, long[]> partitions = new HashMap<>(); // topic → records by partition
    final Histogram latencies = new Histogram(1, LATENCY_US_MAX, 3);

    void count(String topic, int partition, long count) {
      long[] counts = partitions.computeIfAbsent(topic, t -> new long[16]);
      if (partition >= counts.length) {
        counts = Arrays.copyOf(counts, Math.max(partition + 1, counts.length * 2));
        partitions.put(topic, counts);
      }
      counts[partition] += count;
    }

    void latency(long ns) {
      latencies.recordValue(Math.min(Math.max(ns, 0) / 1000, LATENCY_US_MAX));
    }

    void add(Counters part) {
      records += part.records;
      bytes += part.bytes;
      errors += part.errors;
      corrupt += part.corrupt;
      outOfOrder += part.outOfOrder;
      valueSum += part.valueSum;
      gapNsMax = Math.max(gapNsMax, part.gapNsMax);
      part.partitions.forEach(
          (topic, counts) -> {
            for (int at = 0; at < counts.length; at++) {
              count(topic, at, counts[at]);
            }
          });
      latencies.add(part.latencies);
    }

    ObjectNode fields() {
      ObjectNode fields = Wire.object();
      fields.put("interval_s", (System.nanoTime() - began) / 1e9);
      fields.put("records", records).put("bytes", bytes).put("errors", errors);
      fields.put("corrupt", corrupt).put("out_of_order", outOfOrder);
      fields.put("value_sum", Wire.unsigned(valueSum));
      ObjectNode named = fields.putObject("partitions");
      new TreeMap<>(partitions)
          .forEach(
              (topic, counts) -> {
                for (int at = 0; at < counts.length; at++) {
                  if (counts[at] > 0) {
                    named.put(topic + "/" + at, counts[at]);
                  }
                }
              });
      fields.put("gap_ms_max", gapNsMax / 1e6);
      return fields.put("latency_us", encoded());
    }

    private String encoded() {
      if (latencies.getTotalCount() == 0) {
        return null;
      }
      ByteBuffer buffer = ByteBuffer.allocate(latencies.getNeededByteBufferCapacity());
      int length = latencies.encodeIntoCompressedByteBuffer(buffer);
      return Base64.getEncoder().encodeToString(Arrays.copyOf(buffer.array(), length));
    }
  }

  Meter(Client client, JsonNode command) {
    this.client = client;
    this.command = command;
    this.id = command.get("id").asLong();
    long now = System.nanoTime();
    maxRecords = command.hasNonNull("max_records") ? command.get("max_records").asLong() : null;
    boolean timed = command.hasNonNull("duration_s");
    endsAtNs = timed ? now + (long) (command.get("duration_s").asDouble() * 1e9) : Long.MAX_VALUE;
    sampleAtNs = now + SAMPLE_NS;
    deliveredNs = now;
  }

  Long maxRecords() {
    return maxRecords;
  }

  synchronized long allRecords() {
    return allRecords;
  }

  /** Report a sample when one is due; whether the loop goes on. */
  boolean tick() {
    long now = System.nanoTime();
    if (now >= sampleAtNs) {
      sampleAtNs = Math.max(sampleAtNs + SAMPLE_NS, now);
      ObjectNode fields = sample();
      fields.put("id", id);
      fields.set("runtime", RuntimeMetrics.of(client));
      client.event("sample", fields);
    }
    return now < endsAtNs && !client.closing() && !client.stoppedLoops.contains(id);
  }

  /** Note a delivery. */
  synchronized void delivered(long nowNs) {
    interval.gapNsMax = Math.max(interval.gapNsMax, nowNs - deliveredNs);
    deliveredNs = nowNs;
  }

  /** Count one record that was acknowledged now. */
  synchronized void acknowledged(
      String topic, int partition, long value, int bytes, long nowNs, long latencyNs) {
    interval.gapNsMax = Math.max(interval.gapNsMax, nowNs - deliveredNs);
    deliveredNs = nowNs;
    interval.records++;
    interval.bytes += bytes;
    interval.valueSum += value;
    interval.count(topic, partition, 1);
    interval.latency(latencyNs);
    allRecords++;
  }

  /** Look at what one partition gave in one delivery; returns the last offset. */
  synchronized long look(
      TopicPartition place, List<ConsumerRecord<byte[], byte[]>> records, long before, long nowNs) {
    for (ConsumerRecord<byte[], byte[]> record : records) {
      interval.outOfOrder += record.offset() <= before ? 1 : 0;
      before = record.offset();
      byte[] data = record.value();
      if (Payload.problem(data) != null) {
        interval.corrupt++;
        continue;
      }
      interval.bytes += data.length;
      interval.valueSum += Payload.value(data);
      long sentNs = Payload.timeNs(data);
      if (sentNs != 0) {
        interval.latency(nowNs - sentNs);
      }
    }
    interval.records += records.size();
    interval.count(place.topic(), place.partition(), records.size());
    allRecords += records.size();
    return before;
  }

  synchronized void error() {
    interval.errors++;
  }

  private synchronized ObjectNode sample() {
    interval.gapNsMax = Math.max(interval.gapNsMax, System.nanoTime() - deliveredNs);
    ObjectNode fields = interval.fields();
    whole.add(interval);
    interval = new Counters();
    return fields;
  }

  /** The whole loop. */
  ObjectNode total() {
    sample();
    ObjectNode fields = whole.fields();
    fields.set("runtime", RuntimeMetrics.of(client));
    return fields;
  }
}

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
 * <p>Callbacks of the client run on its own thread, so the interval is under one lock, which is hardly
 * ever contended: the loop takes it only to report, and a consuming loop once a delivery and
 * partition. The whole belongs to the loop.
 */
final class Meter {
  private static final long LATENCY_US_MAX = 3_600_000_000L;
  private static final long SAMPLE_NS = 1_000_000_000L;

  static final int TOGETHER = 16; // records of a closed loop that share a time

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
  private final boolean closed; // of a producing loop: there is no schedule
  private int ackedPartition; // of the last record
  private long ackedOffset;
  private int shares; // records that may still share its time

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
    private String topic; // the last one that was counted
    private long[] counts; // of it
    private final Histogram latencies = new Histogram(1, LATENCY_US_MAX, 3);
    private long runNs; // a latency, and how many in a row had it: not in the histogram yet
    private long run;

    void count(String topic, int partition, long count) {
      if (topic != this.topic) { // the same object mostly: an equal one only looks it up again
        this.topic = topic;
        counts = partitions.computeIfAbsent(topic, t -> new long[16]);
      }
      if (partition >= counts.length) {
        counts = Arrays.copyOf(counts, partition * 2);
        partitions.put(topic, counts);
      }
      counts[partition] += count;
    }

    void latency(long ns) {
      if (ns != runNs) {
        latencies();
        runNs = ns;
      }
      run++;
    }

    private Histogram latencies() {
      if (run > 0) {
        long us = Math.min(Math.max(runNs, 0) / 1000, LATENCY_US_MAX);
        latencies.recordValueWithCount(us, run);
        run = 0;
      }
      return latencies;
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
      latencies.add(part.latencies());
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
      Histogram all = latencies();
      if (all.getTotalCount() == 0) {
        return null;
      }
      ByteBuffer buffer = ByteBuffer.allocate(all.getNeededByteBufferCapacity());
      int length = all.encodeIntoCompressedByteBuffer(buffer);
      return Base64.getEncoder().encodeToString(Arrays.copyOf(buffer.array(), length));
    }
  }

  Meter(Client client, JsonNode command) {
    this.client = client;
    this.command = command;
    this.id = command.get("id").asLong();
    long now = System.nanoTime();
    maxRecords = command.hasNonNull("max_records") ? command.get("max_records").asLong() : null;
    closed = !command.hasNonNull("rate");
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

  /**
   * Count one record that was acknowledged just now. In a closed loop a few that follow each other in
   * a partition, and so mostly are of one batch, share the time of the first.
   */
  synchronized void acknowledged(
      String topic, int partition, long offset, long value, int bytes, long intendedNs) {
    if (--shares < 0 || partition != ackedPartition || offset != ackedOffset + 1) {
      long now = System.nanoTime();
      shares = closed ? TOGETHER - 1 : 0;
      interval.gapNsMax = Math.max(interval.gapNsMax, now - deliveredNs);
      deliveredNs = now;
    }
    ackedPartition = partition;
    ackedOffset = offset;
    interval.records++;
    interval.bytes += bytes;
    interval.valueSum += value;
    interval.count(topic, partition, 1);
    interval.latency(deliveredNs - intendedNs);
    allRecords++;
  }

  /** Look at what one partition gave in one delivery; returns the last offset. */
  synchronized long look(
      TopicPartition place, List<ConsumerRecord<byte[], byte[]>> records, long before, long nowNs) {
    Counters interval = this.interval;
    long bytes = 0; // sums stay in registers: millions of records a second pass here
    long valueSum = 0;
    int corrupt = 0;
    int outOfOrder = 0;
    for (ConsumerRecord<byte[], byte[]> record : records) {
      long offset = record.offset();
      outOfOrder += offset <= before ? 1 : 0;
      before = offset;
      byte[] data = record.value();
      if (Payload.problem(data) != null) {
        corrupt++;
        continue;
      }
      bytes += data.length;
      valueSum += Payload.value(data);
      long sentNs = Payload.timeNs(data);
      if (sentNs != 0) {
        interval.latency(nowNs - sentNs);
      }
    }
    interval.bytes += bytes;
    interval.valueSum += valueSum;
    interval.corrupt += corrupt;
    interval.outOfOrder += outOfOrder;
    interval.records += records.size();
    interval.count(place.topic(), place.partition(), records.size());
    allRecords += records.size();
    return before;
  }

  synchronized void error() {
    interval.errors++;
  }

  private ObjectNode sample() {
    Counters next = new Counters();
    Counters part;
    synchronized (this) { // no longer: callbacks of the client wait for it, and would be late
      part = interval;
      part.gapNsMax = Math.max(part.gapNsMax, next.began - deliveredNs);
      interval = next;
    }
    ObjectNode fields = part.fields();
    whole.add(part);
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

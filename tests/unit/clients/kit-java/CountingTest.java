import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.Objects;
import java.util.zip.CRC32;
import org.HdrHistogram.Histogram;
import org.HdrHistogram.HistogramIterationValue;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.TopicPartition;

/** What the Java driver counts, without a broker: ends with the number of checks, or throws. */
final class CountingTest {
  private static final long MS = 1_000_000;
  private static final TopicPartition PLACE = new TopicPartition("t", 3);
  private static int checks;

  public static void main(String[] args) throws Exception {
    countsWhatWasRead();
    namesWhatIsCorrupt();
    findsOneAmongMany();
    countsOffsetsThatStepBack();
    addsUpAcknowledgements();
    sharesATimeAmongAFew();
    addsUpUnsignedValues();
    tellsWhatIsWrongWithAPayload();
    System.out.println("checks passed: " + checks);
  }

  private static void equal(Object expected, Object found, String what) {
    checks++;
    if (!Objects.equals(expected, found)) {
      throw new AssertionError(what + ": expected " + expected + ", found " + found);
    }
  }

  private static Meter meter(String command) throws Exception {
    return new Meter(null, new ObjectMapper().readTree(command));
  }

  private static List<ConsumerRecord<byte[], byte[]>> records(byte[]... values) {
    List<ConsumerRecord<byte[], byte[]>> found = new ArrayList<>();
    for (byte[] value : values) {
      found.add(new ConsumerRecord<>("t", 3, found.size(), null, value));
    }
    return found;
  }

  private static byte[] payload(long value, long timeNs) {
    return Payload.pack(value, 100, 3, timeNs, Payload.topicCrc("t"));
  }

  private static Histogram latencies(ObjectNode total) throws Exception {
    byte[] data = Base64.getDecoder().decode(total.get("latency_us").asText());
    return Histogram.decodeFromCompressedByteBuffer(ByteBuffer.wrap(data), 0);
  }

  private static void countsWhatWasRead() throws Exception {
    Meter meter = meter("{\"id\": 1}");
    long now = System.nanoTime();
    meter.delivered(now);
    long last =
        meter.look(
            PLACE, records(payload(5, now - 7 * MS), payload(6, now - 9 * MS), payload(7, 0)), -1, now);
    ObjectNode total = meter.total();
    equal(2L, last, "last offset");
    equal(3L, meter.allRecords(), "records of the loop");
    equal(3L, total.get("records").asLong(), "records");
    equal(300L, total.get("bytes").asLong(), "bytes");
    equal(18L, total.get("value_sum").asLong(), "sum of values");
    equal("{\"t/3\":3}", total.get("partitions").toString(), "partitions");
    equal(2L, latencies(total).getTotalCount(), "latencies, of those that say when they were sent");
    equal(true, Math.abs(latencies(total).getMaxValue() - 9000) < 10, "longest latency near 9 ms");
    equal(true, Math.abs(latencies(total).getMinValue() - 7000) < 10, "shortest latency near 7 ms");
  }

  private static void namesWhatIsCorrupt() throws Exception {
    byte[] broken = payload(1, 0);
    broken[50] ^= 1;
    byte[] foreign = new byte[100];
    CRC32 crc = new CRC32();
    crc.update(foreign, 0, 96);
    ByteBuffer.wrap(foreign).putInt(96, Integer.reverseBytes((int) crc.getValue()));
    Meter meter = meter("{\"id\": 1}");
    meter.look(PLACE, records(payload(9, 0), broken, null, new byte[5], foreign), -1, 0);
    ObjectNode total = meter.total();
    equal(4L, total.get("corrupt").asLong(), "corrupt records");
    equal(100L, total.get("bytes").asLong(), "bytes of intact ones");
    equal(9L, total.get("value_sum").asLong(), "values of intact ones");
    equal(5L, total.get("records").asLong(), "records");
  }

  /** Of each size in a row so many, one of them broken in one byte. */
  private static void findsOneAmongMany() throws Exception {
    for (int size : new int[] {32, 100, 4096, 4097, 70_000}) {
      for (int count : new int[] {1, 7, 8, 700}) {
        for (int broken : new int[] {-1, 0, count / 2, count - 1}) {
          byte[][] values = new byte[count][];
          long sum = 0;
          for (int n = 0; n < count; n++) {
            values[n] = Payload.pack(n, size, 3, 0, 7);
            sum += n == broken ? 0 : n;
          }
          int lost = broken < 0 ? 0 : 1;
          if (lost > 0) {
            values[broken][size - 9] ^= 8;
          }
          Meter meter = meter("{\"id\": 1}");
          meter.look(PLACE, records(values), -1, 0);
          ObjectNode total = meter.total();
          String what = count + " of " + size + " bytes, broken: " + broken;
          equal((long) lost, total.get("corrupt").asLong(), what);
          equal((long) (count - lost) * size, total.get("bytes").asLong(), what);
          equal(sum, total.get("value_sum").asLong(), what);
        }
      }
    }
    Meter meter = meter("{\"id\": 1}");
    byte[][] mixed = new byte[60][];
    for (int n = 0; n < mixed.length; n++) {
      mixed[n] = Payload.pack(n, n % 20 < 10 ? 40 : 50 + n, 3, 0, 7);
    }
    meter.look(PLACE, records(mixed), -1, 0);
    meter.look(PLACE, records(mixed), -1, 0);
    ObjectNode total = meter.total();
    equal(0L, total.get("corrupt").asLong(), "mixed sizes");
    equal(60L * 59, total.get("value_sum").asLong(), "mixed sizes");
  }

  private static void countsOffsetsThatStepBack() throws Exception {
    Meter meter = meter("{\"id\": 1}");
    List<ConsumerRecord<byte[], byte[]>> some = records(payload(1, 0), payload(2, 0), payload(3, 0));
    long last = meter.look(PLACE, some, -1, 0);
    equal(0L, sample(meter, "out_of_order"), "in order");
    meter.look(PLACE, some, last, 0); // 0, 1, 2 after 2: the first steps back
    equal(1L, sample(meter, "out_of_order"), "one step back");
    meter.look(PLACE, some, 0, 0); // 0 again
    equal(2L, sample(meter, "out_of_order"), "one offset twice");
  }

  private static long sample(Meter meter, String field) {
    return meter.total().get(field).asLong();
  }

  private static void addsUpAcknowledgements() throws Exception {
    for (String command : new String[] {"{\"id\": 1}", "{\"id\": 1, \"rate\": 100}"}) {
      Meter meter = meter(command);
      long intended = System.nanoTime() - 20 * MS;
      for (int n = 0; n < 100; n++) {
        meter.acknowledged("t", n % 2, n / 2, n, 50, intended);
      }
      for (int n = 0; n < 100; n++) { // of one batch: they may share a time
        meter.acknowledged("u", 40, n, n, 50, intended);
      }
      meter.error();
      ObjectNode total = meter.total();
      equal(200L, total.get("records").asLong(), "records");
      equal(10_000L, total.get("bytes").asLong(), "bytes");
      equal(9900L, total.get("value_sum").asLong(), "sum of values");
      equal(1L, total.get("errors").asLong(), "errors");
      String partitions = "{\"t/0\":50,\"t/1\":50,\"u/40\":100}";
      equal(partitions, total.get("partitions").toString(), "partitions");
      equal(200L, latencies(total).getTotalCount(), "latencies");
      equal(true, latencies(total).getMinValue() >= 19_900, "none is shorter than 20 ms");
      equal(true, latencies(total).getMaxValue() < 10_000_000, "none is longer than this test");
    }
  }

  private static void sharesATimeAmongAFew() throws Exception {
    equal(1L, times("{\"id\": 1}", Meter.TOGETHER), "times of a batch in a closed loop");
    equal(2L, times("{\"id\": 1}", Meter.TOGETHER + 1), "times of one record more");
    equal(4L, times("{\"id\": 1, \"rate\": 100}", 4), "times in an open loop");
  }

  /** How many latencies differ where so many records of a batch are acknowledged 1 ms apart. */
  private static long times(String command, int records) throws Exception {
    Meter meter = meter(command);
    long began = System.nanoTime();
    for (int n = 0; n < records; n++) {
      while (System.nanoTime() - began < n * MS) {
        Thread.onSpinWait();
      }
      meter.acknowledged("t", 0, n, n, 50, began - MS);
    }
    long found = 0;
    for (HistogramIterationValue each : latencies(meter.total()).recordedValues()) {
      found++;
    }
    return found;
  }

  private static void addsUpUnsignedValues() throws Exception {
    Meter meter = meter("{\"id\": 1}");
    meter.acknowledged("t", 0, 0, -1L, 1, 0); // 2^64 - 1
    BigInteger largest = BigInteger.TWO.pow(64).subtract(BigInteger.ONE);
    equal(largest, meter.total().get("value_sum").bigIntegerValue(), "an unsigned value");
  }

  private static void tellsWhatIsWrongWithAPayload() {
    equal(null, Payload.problem(payload(1, 2)), "an intact one");
    equal("null-value", Payload.problem(null), "none");
    equal("short", Payload.problem(new byte[31]), "a short one");
    equal("foreign", Payload.problem(new byte[32]), "a foreign one");
    for (int at : new int[] {4, 30, 99}) {
      byte[] data = payload(1, 2);
      data[at] ^= 4;
      equal("checksum", Payload.problem(data), "byte " + at + " broken");
    }
    byte[] data = payload(1, 2);
    Payload.stamp(data, Long.MIN_VALUE, 8, 77);
    equal(null, Payload.problem(data), "stamped again");
    equal(Long.MIN_VALUE, Payload.value(data), "its value");
    equal(77L, Payload.timeNs(data), "its time");
    equal(true, Arrays.equals(data, 28, 96, payload(1, 2), 28, 96), "its filler is the loop's");
  }
}

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.concurrent.locks.LockSupport;
import org.apache.kafka.clients.producer.ProducerRecord;

/**
 * The produce loop: closed (as fast as the client takes) or open (a rate that does not wait).
 *
 * <p>The intended time of a record of a closed loop is the moment before it is handed over, or one of
 * the few before it; in an open loop it comes from the schedule, however late the loop is.
 */
final class ProduceLoop {
  private static final long PARK_NS_MAX = 20_000_000;

  private final ProducerClient client;
  private final Meter meter;
  private final String topic;
  private final int size;
  private final int[] partitions;
  private final Double rate;
  private final long first;
  private final byte[] payload; // of every record: the serializer copies it before send returns

  ProduceLoop(ProducerClient client, JsonNode command) {
    this.client = client;
    topic = command.get("topic").asText();
    size = command.get("record_bytes").asInt();
    payload = Payload.pack(0, size, -1, 0, Payload.topicCrc(topic));
    rate = command.hasNonNull("rate") ? command.get("rate").asDouble() : null;
    first = command.path("first_value").bigIntegerValue().longValue(); // absent: 0
    JsonNode given = command.path("partitions");
    partitions = new int[given.size()];
    for (int index = 0; index < partitions.length; index++) {
      partitions[index] = given.get(index).asInt();
    }
    meter = new Meter(client, command);
  }

  ObjectNode run() {
    long began = System.nanoTime();
    long sent = 0;
    Long most = meter.maxRecords();
    while (meter.tick() && (most == null || sent < most)) {
      if (rate == null) {
        long until = most == null ? sent + Meter.TOGETHER : Math.min(sent + Meter.TOGETHER, most);
        long now = System.nanoTime();
        while (sent < until && !client.closing()) {
          send(sent++, now);
        }
        continue;
      }
      long intended = began + (long) (sent * 1e9 / rate);
      long early = intended - System.nanoTime();
      if (early > 0) {
        LockSupport.parkNanos(Math.min(early, PARK_NS_MAX));
      } else {
        send(sent++, intended);
      }
    }
    while (client.buffered() > 0) {
      if (!client.closing()) {
        client.producer.flush();
      }
      meter.tick();
      LockSupport.parkNanos(1_000_000);
    }
    return meter.total();
  }

  private void send(long index, long intendedNs) {
    long value = first + index;
    int partition = partitions.length == 0 ? -1 : partitions[(int) (index % partitions.length)];
    Payload.stamp(payload, value, partition, intendedNs);
    ProducerRecord<byte[], byte[]> record =
        new ProducerRecord<>(topic, partition < 0 ? null : partition, null, payload);
    client.handedOver();
    try {
      client.producer.send(
          record,
          (at, error) -> {
            if (error == null) {
              meter.acknowledged(topic, at.partition(), at.offset(), value, size, intendedNs);
            } else {
              meter.error();
            }
            client.reported(); // last: the loop ends when all are reported, and then counts
          });
    } catch (RuntimeException error) { // thrown instead of reported: it was not taken
      meter.error();
      client.reported();
    }
  }
}

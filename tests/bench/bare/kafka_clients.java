import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** kafka-clients as a program uses it: what the driver's loops are compared with. */
public final class Driver {
  private static final ObjectMapper JSON = new ObjectMapper();

  private Driver() {}

  public static void main(String[] args) throws Exception {
    JsonNode spec = JSON.readTree(args[0]);
    boolean produces = spec.get("op").asText().equals("produce");
    System.out.println(JSON.writeValueAsString(produces ? produce(spec) : consume(spec)));
  }

  private static Map<String, Object> config(JsonNode spec) {
    Map<String, Object> config = new HashMap<>();
    config.put("bootstrap.servers", spec.get("bootstrap").asText());
    spec.get("options").fields().forEachRemaining(o -> config.put(o.getKey(), o.getValue().asText()));
    return config;
  }

  private static ObjectNode produce(JsonNode spec) {
    Map<String, Object> config = config(spec);
    config.put("acks", "all");
    config.put("linger.ms", spec.get("linger_ms").asText());
    ByteArraySerializer bytes = new ByteArraySerializer();
    KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(config, bytes, bytes);
    String topic = spec.get("topic").asText();
    int records = spec.get("records").asInt();
    double rate = spec.path("rate").asDouble(0);
    byte[] payload = new byte[spec.get("size").asInt()];
    new Random().nextBytes(payload);
    long[] latencies = new long[rate > 0 ? records : 0];
    AtomicInteger failed = new AtomicInteger();
    long began = System.nanoTime();
    for (int index = 0; index < records; index++) {
      int at = index;
      long intended = rate > 0 ? began + (long) (index * 1e9 / rate) : 0;
      for (long early = intended - System.nanoTime(); rate > 0 && early > 0; ) {
        LockSupport.parkNanos(early);
        early = intended - System.nanoTime();
      }
      producer.send(
          new ProducerRecord<>(topic, payload),
          (metadata, error) -> {
            if (error != null) {
              failed.incrementAndGet();
            } else if (rate > 0) {
              latencies[at] = System.nanoTime() - intended;
            }
          });
    }
    producer.flush();
    ObjectNode found = JSON.createObjectNode();
    found.put("seconds", (System.nanoTime() - began) / 1e9);
    found.put("records", records).put("failed", failed.get());
    if (rate > 0) {
      int warm = spec.get("warm_records").asInt();
      Arrays.sort(latencies, warm, records);
      found.put("p99_ms", latencies[warm + (int) ((records - warm) * 0.99)] / 1e6);
    }
    producer.close();
    return found;
  }

  private static ObjectNode consume(JsonNode spec) {
    ByteArrayDeserializer bytes = new ByteArrayDeserializer();
    Map<String, Object> config = config(spec);
    config.put("enable.auto.commit", "false");
    KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(config, bytes, bytes);
    List<TopicPartition> all = new ArrayList<>();
    for (int partition = 0; partition < spec.get("partitions").asInt(); partition++) {
      all.add(new TopicPartition(spec.get("topic").asText(), partition));
    }
    consumer.assign(all);
    consumer.seekToBeginning(all);
    ConsumerRecords<byte[], byte[]> given = consumer.poll(Duration.ofSeconds(10));
    long first = given.count(); // they are there before the clock
    long records = spec.get("records").asLong() - first;
    long count = 0;
    long size = 0;
    long began = System.nanoTime();
    while (count < records) {
      given = consumer.poll(Duration.ofMillis(100));
      for (ConsumerRecord<byte[], byte[]> record : given) {
        size += record.value().length;
        count++;
      }
    }
    double seconds = (System.nanoTime() - began) / 1e9;
    consumer.close();
    return JSON.createObjectNode()
        .put("records", count)
        .put("seconds", seconds)
        .put("failed", size > 0 ? 0 : 1);
  }
}

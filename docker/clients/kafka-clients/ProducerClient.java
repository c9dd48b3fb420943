import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicReferenceArray;
import java.util.concurrent.atomic.LongAdder;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.Callback;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.Metric;
import org.apache.kafka.common.MetricName;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** The producer role: sends with one callback a record, and transactions. */
final class ProducerClient extends Client {
  volatile KafkaProducer<byte[], byte[]> producer;
  // Records handed over and reported. Each is written by another thread: on cache lines of their own.
  private final LongAdder handedOver = new LongAdder();
  private final LongAdder reported = new LongAdder();
  private Thread closer;

  ProducerClient(Wire wire, String name, Map<String, Client> siblings) {
    super(wire, name, siblings);
  }

  @Override
  ObjectNode operate(String op, JsonNode command) throws Exception {
    return switch (op) {
      case "open" -> open(command);
      case "send" -> send(command);
      case "txn" -> txn(command);
      case "produce" -> new ProduceLoop(this, command).run();
      default -> unknown(op);
    };
  }

  private ObjectNode open(JsonNode command) {
    ByteArraySerializer bytes = new ByteArraySerializer();
    producer = new KafkaProducer<>(Config.of("producer", command), bytes, bytes);
    return null;
  }

  private ObjectNode send(JsonNode command) throws InterruptedException {
    String topic = command.get("topic").asText();
    int topicCrc = Payload.topicCrc(topic);
    // All are built before the first is sent: a row that cannot be refuses the whole command.
    List<ProducerRecord<byte[], byte[]>> records = new ArrayList<>();
    for (JsonNode row : command.get("records")) {
      records.add(Content.record(topic, topicCrc, row));
    }
    Batch batch = new Batch(records.size());
    for (int index = 0; index < records.size(); index++) {
      batch.send(index, records.get(index));
    }
    if (!command.path("linger").asBoolean(false) && !closing()) {
      producer.flush();
    }
    batch.reported.await();
    return batch.completion();
  }

  /** The records of one send command. */
  private final class Batch {
    final AtomicReferenceArray<ArrayNode> results;
    final CountDownLatch reported;
    private final Thread sender = Thread.currentThread();

    Batch(int size) {
      results = new AtomicReferenceArray<>(size);
      reported = new CountDownLatch(size);
    }

    void send(int index, ProducerRecord<byte[], byte[]> record) {
      handedOver();
      Callback callback = (at, error) -> report(index, at, error, record.partition());
      try {
        producer.send(record, callback);
      } catch (RuntimeException error) { // thrown instead of reported: it was not taken
        if (results.get(index) == null) {
          report(index, null, error, record.partition());
        }
      }
    }

    private void report(int index, RecordMetadata at, Exception error, Integer partition) {
      reported();
      ArrayNode result = Wire.JSON.createArrayNode();
      if (error == null) {
        result.add("ok").add(at.partition()).add(at.hasOffset() ? at.offset() : null).addNull();
      } else {
        // On the sending thread only what the client never put into a batch is reported.
        boolean never = Thread.currentThread() == sender;
        result.add(never ? "fail" : Outcomes.ofSend(error)).add(partition).addNull();
        result.add(Outcomes.describe(error));
      }
      results.set(index, result);
      reported.countDown();
    }

    ObjectNode completion() {
      ObjectNode fields = Wire.object();
      ArrayNode rows = fields.putArray("results");
      int ok = 0;
      int fail = 0;
      for (int index = 0; index < results.length(); index++) {
        ArrayNode row = results.get(index);
        rows.add(row);
        String kind = row.get(0).asText();
        ok += kind.equals("ok") ? 1 : 0;
        fail += kind.equals("fail") ? 1 : 0;
        if (!kind.equals("ok") && !fields.has("error")) {
          fields.set("error", row.get(3));
        }
      }
      if (ok == results.length()) {
        return fields;
      }
      throw new Outcomes.Ended(fail == results.length() ? "fail" : "info", fields);
    }
  }

  private ObjectNode txn(JsonNode command) {
    switch (command.get("action").asText()) {
      case "init" -> producer.initTransactions();
      case "begin" -> producer.beginTransaction();
      case "commit" -> producer.commitTransaction();
      case "abort" -> producer.abortTransaction();
      case "send_offsets" -> {
        ConsumerClient group = (ConsumerClient) siblings.get(command.get("group_of").asText());
        Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
        for (JsonNode row : command.get("offsets")) {
          TopicPartition at = new TopicPartition(row.get(0).asText(), row.get(1).asInt());
          offsets.put(at, new OffsetAndMetadata(row.get(2).asLong()));
        }
        producer.sendOffsetsToTransaction(offsets, group.groupMetadata);
      }
      default ->
          throw new IllegalArgumentException(
              "action: expected init, begin, commit, abort or send_offsets");
    }
    return null;
  }

  /** The client allows a close from another thread while it works: that is what happens. */
  @Override
  synchronized void interruptWork() {
    if (producer != null && closer == null) {
      Duration timeout = Duration.ofMillis(leftMs());
      closer = new Thread(() -> producer.close(timeout), "close-" + name);
      closer.setDaemon(true);
      closer.start();
    }
  }

  @Override
  void closeNative() {
    interruptWork();
    if (closer != null) {
      try {
        closer.join();
      } catch (InterruptedException error) {
        Thread.currentThread().interrupt();
      }
    }
  }

  void handedOver() {
    handedOver.increment();
  }

  void reported() {
    reported.increment();
  }

  /** Records handed over and not yet reported. */
  @Override
  Long buffered() {
    long done = reported.sum(); // first: what is reported meanwhile was handed over before
    return handedOver.sum() - done;
  }

  @Override
  Map<MetricName, ? extends Metric> metrics() {
    return producer == null ? Map.of() : producer.metrics();
  }
}

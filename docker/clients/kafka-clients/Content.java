import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;

/**
 * Records between the contract's rows and this client: keys, headers, null and empty parts.
 *
 * <p>A record that has no key and no headers and whose value is the payload is plain, and its row
 * carries no content.
 */
final class Content {
  private static final String PAYLOAD = "payload";

  private Content() {}

  /** The record that a row of a send asks for. */
  static ProducerRecord<byte[], byte[]> record(String topic, int topicCrc, JsonNode row) {
    Integer partition = row.get(0).isNull() ? null : row.get(0).asInt();
    long value = row.get(1).bigIntegerValue().longValue();
    int intended = partition == null ? -1 : partition;
    byte[] payload = Payload.pack(value, row.get(2).asInt(), intended, 0, topicCrc);
    JsonNode content = row.path(3);
    if (content.isEmpty()) {
      return new ProducerRecord<>(topic, partition, null, payload);
    }
    byte[] body = content.has("value") ? bytes(content.get("value"), payload) : payload;
    List<Header> headers = new ArrayList<>();
    for (JsonNode header : content.path("headers")) {
      headers.add(new RecordHeader(header.get(0).asText(), bytes(header.get(1), payload)));
    }
    byte[] key = bytes(content.path("key"), payload);
    return new ProducerRecord<>(topic, partition, key, body, headers);
  }

  private static byte[] bytes(JsonNode part, byte[] payload) {
    if (part.isNull() || part.isMissingNode()) {
      return null;
    }
    String text = part.asText();
    if (text.equals(PAYLOAD)) {
      return payload;
    }
    if (text.chars().anyMatch(each -> each > 0xff)) {
      throw new IllegalArgumentException("content: a character is one byte, found " + text);
    }
    return text.getBytes(StandardCharsets.ISO_8859_1);
  }

  /** The row of a record that was polled. */
  static void add(ArrayNode rows, ConsumerRecord<byte[], byte[]> record) {
    byte[] value = record.value();
    Header[] headers = record.headers().toArray();
    boolean plain = record.key() == null && headers.length == 0 && Payload.isOne(value);
    byte[] payload = plain ? value : payload(record, headers);
    String problem = Payload.problem(payload);
    boolean readable = problem == null || problem.equals("checksum");
    ArrayNode row = rows.addArray();
    row.add(record.topic()).add(record.partition()).add(record.offset());
    row.add(readable ? Wire.unsigned(Payload.value(payload)) : null);
    row.add(value == null ? 0 : value.length).add(problem);
    row.add(readable ? Payload.partition(payload) : -1);
    row.add(readable ? Long.valueOf(Payload.topicCrc(payload)) : null);
    if (!plain) {
      row.add(described(record, headers));
    }
  }

  /** The first payload in value, key, headers; the value where there is none. */
  private static byte[] payload(ConsumerRecord<byte[], byte[]> record, Header[] headers) {
    if (Payload.isOne(record.value())) {
      return record.value();
    }
    if (Payload.isOne(record.key())) {
      return record.key();
    }
    for (Header header : headers) {
      if (Payload.isOne(header.value())) {
        return header.value();
      }
    }
    return record.value();
  }

  private static ObjectNode described(ConsumerRecord<byte[], byte[]> record, Header[] headers) {
    ObjectNode content = Wire.object();
    content.put("key", text(record.key())).put("value", text(record.value()));
    ArrayNode named = content.putArray("headers");
    for (Header header : headers) {
      named.addArray().add(header.key()).add(text(header.value()));
    }
    return content;
  }

  private static String text(byte[] part) {
    if (part == null) {
      return null;
    }
    return Payload.isOne(part) ? PAYLOAD : new String(part, StandardCharsets.ISO_8859_1);
  }
}

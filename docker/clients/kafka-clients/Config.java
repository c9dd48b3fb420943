import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.Iterator;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.clients.admin.AdminClientConfig;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;

/** The contract's portable configuration in this client's words; the rest is refused by name. */
final class Config {
  private static final String TOKEN_ENDPOINT = "sasl.oauthbearer.token.endpoint.url";
  private static final String ALLOWED_URLS = "org.apache.kafka.sasl.oauthbearer.allowed.urls";
  private static final Map<String, String> CONSUMER =
      Map.ofEntries(
          Map.entry("group", "group.id"),
          Map.entry("group_protocol", "group.protocol"),
          Map.entry("instance_id", "group.instance.id"),
          Map.entry("assignor", "partition.assignment.strategy"),
          Map.entry("auto_commit", "enable.auto.commit"),
          Map.entry("auto_commit_interval_ms", "auto.commit.interval.ms"),
          Map.entry("offset_reset", "auto.offset.reset"),
          Map.entry("isolation", "isolation.level"),
          Map.entry("session_timeout_ms", "session.timeout.ms"),
          Map.entry("max_poll_interval_ms", "max.poll.interval.ms"),
          Map.entry("max_poll_records", "max.poll.records"),
          Map.entry("fetch_min_bytes", "fetch.min.bytes"),
          Map.entry("fetch_max_bytes", "fetch.max.bytes"),
          Map.entry("max_partition_fetch_bytes", "max.partition.fetch.bytes"),
          Map.entry("request_timeout_ms", "request.timeout.ms"));
  private static final Map<String, String> PRODUCER =
      Map.ofEntries(
          Map.entry("acks", "acks"),
          Map.entry("idempotence", "enable.idempotence"),
          Map.entry("transactional_id", "transactional.id"),
          Map.entry("linger_ms", "linger.ms"),
          Map.entry("batch_bytes", "batch.size"),
          Map.entry("compression", "compression.type"),
          Map.entry("delivery_timeout_ms", "delivery.timeout.ms"),
          Map.entry("request_timeout_ms", "request.timeout.ms"),
          Map.entry("max_message_bytes", "max.request.size"));
  private static final Map<String, String> ADMIN =
      Map.of("request_timeout_ms", "request.timeout.ms");
  private static final Map<String, String> ASSIGNORS =
      Map.of(
          "range", "org.apache.kafka.clients.consumer.RangeAssignor",
          "roundrobin", "org.apache.kafka.clients.consumer.RoundRobinAssignor",
          "cooperative-sticky", "org.apache.kafka.clients.consumer.CooperativeStickyAssignor");

  private Config() {}

  /** The client's configuration; raises IllegalArgumentException with the key that it lacks. */
  static Map<String, Object> of(String role, JsonNode command) {
    Map<String, String> words =
        switch (role) {
          case "consumer" -> CONSUMER;
          case "producer" -> PRODUCER;
          default -> ADMIN;
        };
    Set<String> known =
        switch (role) {
          case "consumer" -> ConsumerConfig.configNames();
          case "producer" -> ProducerConfig.configNames();
          default -> AdminClientConfig.configNames();
        };
    Map<String, Object> config = new HashMap<>();
    config.put("bootstrap.servers", command.get("bootstrap").asText());
    Iterator<Map.Entry<String, JsonNode>> portable = command.path("config").fields();
    while (portable.hasNext()) {
      Map.Entry<String, JsonNode> entry = portable.next();
      String name = words.get(entry.getKey());
      if (name == null || !known.contains(name)) {
        throw new IllegalArgumentException(
            "config key '" + entry.getKey() + "': kafka-clients has none for a " + role);
      }
      String value = entry.getValue().asText();
      config.put(name, entry.getKey().equals("assignor") ? assignor(value) : value(name, value));
    }
    Iterator<Map.Entry<String, JsonNode>> own = command.path("options").fields();
    while (own.hasNext()) {
      Map.Entry<String, JsonNode> entry = own.next();
      if (!known.contains(entry.getKey())) { // the client itself would only log a warning
        throw new IllegalArgumentException("No such configuration property: " + entry.getKey());
      }
      config.put(entry.getKey(), own(entry.getValue()));
      if (entry.getKey().equals(TOKEN_ENDPOINT)) {
        allow(entry.getValue().asText());
      }
    }
    return config;
  }

  /** An option's value as a program would give it: the client itself parses text. */
  private static Object own(JsonNode value) {
    if (value.isArray()) {
      List<String> entries = new ArrayList<>();
      value.forEach(entry -> entries.add(entry.asText()));
      return entries;
    }
    return value.isNull() ? null : value.asText();
  }

  /** From 4.0 on the client asks its program for the token endpoints that it may be sent to. */
  private static synchronized void allow(String url) {
    Set<String> urls = new LinkedHashSet<>(List.of(url));
    urls.addAll(List.of(System.getProperty(ALLOWED_URLS, url).split(",")));
    System.setProperty(ALLOWED_URLS, String.join(",", urls));
  }

  private static String value(String name, String value) {
    return name.equals("acks") && value.equals("-1") ? "all" : value;
  }

  private static String assignor(String name) {
    if (!ASSIGNORS.containsKey(name)) {
      throw new IllegalArgumentException("config key 'assignor': no assignor '" + name + "'");
    }
    return ASSIGNORS.get(name);
  }
}

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.lang.management.BufferPoolMXBean;
import java.lang.management.GarbageCollectorMXBean;
import java.lang.management.ManagementFactory;
import java.util.Map;
import org.apache.kafka.common.Metric;
import org.apache.kafka.common.MetricName;

/** What only the driver sees of its own process and clients; null where it cannot be seen. */
final class RuntimeMetrics {
  private RuntimeMetrics() {}

  static ObjectNode of(Client client) {
    long collecting = 0;
    for (GarbageCollectorMXBean each : ManagementFactory.getGarbageCollectorMXBeans()) {
      collecting += Math.max(0, each.getCollectionTime());
    }
    ObjectNode runtime = Wire.object();
    runtime.put("heap_bytes", ManagementFactory.getMemoryMXBean().getHeapMemoryUsage().getUsed());
    runtime.put("external_bytes", directBytes());
    runtime.put("buffered_records", client == null ? null : client.buffered());
    runtime.putNull("scheduler_delay_ms_max");
    runtime.put("gc_pause_ms_total", collecting);
    runtime.put("threads", ManagementFactory.getThreadMXBean().getThreadCount());
    runtime.put("received_bytes", total(client, "incoming-byte-total"));
    runtime.put("sent_bytes", total(client, "outgoing-byte-total"));
    return runtime;
  }

  /** Memory of direct buffers: what the client reads from and writes to its sockets with. */
  private static long directBytes() {
    long used = 0;
    for (BufferPoolMXBean pool : ManagementFactory.getPlatformMXBeans(BufferPoolMXBean.class)) {
      used += pool.getName().equals("direct") ? Math.max(0, pool.getMemoryUsed()) : 0;
    }
    return used;
  }

  private static Long total(Client client, String name) {
    if (client == null) {
      return null;
    }
    for (Map.Entry<MetricName, ? extends Metric> each : client.metrics().entrySet()) {
      MetricName metric = each.getKey();
      boolean whole = !metric.tags().containsKey("node-id");
      Object value = each.getValue().metricValue();
      if (whole && metric.name().equals(name) && value instanceof Double bytes) {
        return bytes.longValue();
      }
    }
    return null;
  }
}

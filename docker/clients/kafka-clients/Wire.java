import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.math.BigInteger;

/**
 * The driver's stdout: one JSON object a line, each written whole, with the time it happened.
 *
 * <p>A pipe that nobody reads blocks the thread that reports, and that client with it; nothing is
 * dropped. Whatever else prints goes to stderr.
 */
final class Wire {
  static final ObjectMapper JSON = new ObjectMapper();
  private static final BigInteger TWO_64 = BigInteger.ONE.shiftLeft(64);

  private final OutputStream out = new FileOutputStream(FileDescriptor.out);

  Wire() {
    System.setOut(System.err);
  }

  static ObjectNode object() {
    return JSON.createObjectNode();
  }

  /** An unsigned 64-bit number, as JSON writes it. */
  static BigInteger unsigned(long value) {
    BigInteger signed = BigInteger.valueOf(value);
    return value < 0 ? signed.add(TWO_64) : signed;
  }

  /** Write one event, stamped with CLOCK_MONOTONIC, which is what nanoTime reads on Linux. */
  void emit(String type, ObjectNode fields) {
    fields.put("type", type).put("t", System.nanoTime());
    try {
      byte[] json = JSON.writeValueAsBytes(fields);
      byte[] line = java.util.Arrays.copyOf(json, json.length + 1);
      line[json.length] = '\n';
      synchronized (out) {
        out.write(line);
      }
    } catch (IOException error) {
      throw new UncheckedIOException(error); // the lab is gone
    }
  }
}

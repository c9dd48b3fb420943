import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.SplittableRandom;
import java.util.zip.CRC32;

/**
 * The contract's payload: 28 bytes of header, filler, and a CRC-32 over all of it at the end.
 *
 * <p>The checksum stands last and little-endian, so the CRC-32 of a whole intact payload is one
 * constant.
 */
final class Payload {
  static final int SIZE_MIN = 32;
  private static final int MAGIC = 0x4b4c4231; // KLB1
  private static final int RESIDUE = 0x2144DF1C; // CRC-32 of anything followed by its own CRC-32
  private static final byte[] FILLER = filler(1 << 20);
  private static final VarHandle INT =
      MethodHandles.byteArrayViewVarHandle(int[].class, ByteOrder.BIG_ENDIAN);
  private static final VarHandle LONG =
      MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.BIG_ENDIAN);
  private static final VarHandle CHECKSUM =
      MethodHandles.byteArrayViewVarHandle(int[].class, ByteOrder.LITTLE_ENDIAN);

  private Payload() {}

  private static byte[] filler(int size) {
    byte[] block = new byte[size];
    new SplittableRandom(System.nanoTime()).nextBytes(block);
    return block;
  }

  static int topicCrc(String topic) {
    byte[] name = topic.getBytes(StandardCharsets.UTF_8);
    return crc(name, name.length);
  }

  private static int crc(byte[] data, int length) {
    CRC32 crc = new CRC32();
    crc.update(data, 0, length);
    return (int) crc.getValue();
  }

  static byte[] pack(long value, int size, int partition, long timeNs, int topicCrc) {
    if (size < SIZE_MIN) {
      throw new IllegalArgumentException("size_bytes: expected at least 32, found " + size);
    }
    byte[] data = new byte[size];
    INT.set(data, 0, MAGIC);
    INT.set(data, 24, topicCrc);
    for (int at = 28; at < size - 4; at += FILLER.length) {
      System.arraycopy(FILLER, 0, data, at, Math.min(FILLER.length, size - 4 - at));
    }
    stamp(data, value, partition, timeNs);
    return data;
  }

  /** What a payload says of its record; the rest of it is the same for a whole loop. */
  static void stamp(byte[] data, long value, int partition, long timeNs) {
    LONG.set(data, 4, value);
    LONG.set(data, 12, timeNs);
    INT.set(data, 20, partition);
    CHECKSUM.set(data, data.length - 4, crc(data, data.length - 4));
  }

  /** Whether these bytes begin as a payload does. */
  static boolean isOne(byte[] data) {
    return data != null && data.length >= 4 && (int) INT.get(data, 0) == MAGIC;
  }

  /** What is wrong with a payload; null when nothing is. */
  static String problem(byte[] data) {
    if (data == null) {
      return "null-value";
    }
    if (data.length < SIZE_MIN) {
      return "short";
    }
    if (!isOne(data)) {
      return "foreign";
    }
    return crc(data, data.length) == RESIDUE ? null : "checksum";
  }

  static long value(byte[] data) {
    return (long) LONG.get(data, 4);
  }

  static long timeNs(byte[] data) {
    return (long) LONG.get(data, 12);
  }

  static int partition(byte[] data) {
    return (int) INT.get(data, 20);
  }

  static long topicCrc(byte[] data) {
    return (int) INT.get(data, 24) & 0xffffffffL;
  }
}

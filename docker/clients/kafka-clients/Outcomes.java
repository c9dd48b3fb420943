import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.common.errors.ApiException;
import org.apache.kafka.common.errors.CorruptRecordException;
import org.apache.kafka.common.errors.InvalidRequiredAcksException;
import org.apache.kafka.common.errors.InvalidTopicException;
import org.apache.kafka.common.errors.NetworkException;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.apache.kafka.common.errors.RetriableException;
import org.apache.kafka.common.errors.SerializationException;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.errors.TopicAuthorizationException;
import org.apache.kafka.common.errors.UnknownServerException;
import org.apache.kafka.common.errors.UnsupportedForMessageFormatException;
import org.apache.kafka.common.protocol.Errors;

/** What an error of this client says about its operation: did it certainly not happen? */
final class Outcomes {
  private static final Set<String> READ_ONLY =
      Set.of("poll", "committed", "position", "end_offsets", "group_offsets", "describe_cluster");

  private Outcomes() {}

  /** Ends a command as fail or info. */
  static final class Ended extends RuntimeException {
    private static final long serialVersionUID = 1;
    final String kind;
    final transient ObjectNode fields;

    Ended(String kind, ObjectNode fields) {
      super(kind);
      this.kind = kind;
      this.fields = fields;
    }
  }

  /** A record that was handed over: only what excludes every earlier attempt is certain. */
  static String ofSend(Throwable error) {
    boolean never =
        error instanceof RecordTooLargeException
            || error instanceof TopicAuthorizationException
            || error instanceof InvalidTopicException
            || error instanceof InvalidRequiredAcksException
            || error instanceof UnsupportedForMessageFormatException
            || error instanceof SerializationException;
    return never ? "fail" : "info";
  }

  /** A whole command. */
  static String ofCommand(String op, Throwable raised) {
    Throwable error = cause(raised);
    if (READ_ONLY.contains(op)) {
      return "fail";
    }
    boolean open =
        error instanceof TimeoutException
            || error instanceof NetworkException
            || error instanceof UnknownServerException
            || error instanceof CorruptRecordException
            || error instanceof java.util.concurrent.TimeoutException // of a future
            || error instanceof LinkageError // a class or native library that is not there
            || error instanceof org.apache.kafka.common.errors.InterruptException
            || error instanceof org.apache.kafka.common.errors.DisconnectException
            || error instanceof org.apache.kafka.common.errors.WakeupException
            || error instanceof org.apache.kafka.clients.consumer.RetriableCommitFailedException;
    return open ? "info" : "fail";
  }

  static Throwable cause(Throwable error) {
    boolean wrapped = error instanceof ExecutionException && error.getCause() != null;
    return wrapped ? error.getCause() : error;
  }

  static ObjectNode describe(Throwable raised) {
    Throwable error = cause(raised);
    Errors known = Errors.forException(error);
    boolean named = known != Errors.UNKNOWN_SERVER_ERROR || error instanceof UnknownServerException;
    ObjectNode described = Wire.object();
    described.put("name", named && error instanceof ApiException ? known.name() : null);
    described.put("code", error.getClass().getSimpleName());
    described.put("message", message(error));
    if (error instanceof RetriableException) {
      described.put("retriable", true);
    }
    return described;
  }

  /** The client's words; it keeps the reason of much that it raises in a chain of causes. */
  private static String message(Throwable error) {
    StringBuilder words = new StringBuilder(String.valueOf(error.getMessage()));
    for (Throwable each = error.getCause(); each != null; each = each.getCause()) {
      if (each.getMessage() != null && words.indexOf(each.getMessage()) < 0) {
        words.append(": ").append(each.getMessage());
      }
    }
    return words.toString();
  }

  static ObjectNode describe(String message) {
    ObjectNode described = Wire.object();
    return described.putNull("name").putNull("code").put("message", message);
  }
}

/**
 * What an error of this client says about its operation: did it certainly not happen?
 *
 * The client wraps errors: a MultipleErrors has those of all attempts, a ResponseError those of the
 * partitions of one response, and keeps the response. An operation is `fail` only if every attempt
 * excludes it: a connection that was never made, a value that the client refused before it sent, an
 * answer of a broker that says no. Everything else, a timeout or a closed connection, is `info`.
 */
import { kafka } from "./library.mjs";

// A broker that says this has not written the records, and no earlier attempt can have been.
const NEVER_WRITTEN = new Set([
  "MESSAGE_TOO_LARGE",
  "RECORD_LIST_TOO_LARGE",
  "INVALID_TOPIC_EXCEPTION",
  "INVALID_REQUIRED_ACKS",
  "TOPIC_AUTHORIZATION_FAILED",
  "CLUSTER_AUTHORIZATION_FAILED",
  "TRANSACTIONAL_ID_AUTHORIZATION_FAILED",
  "UNSUPPORTED_FOR_MESSAGE_FORMAT",
  "UNSUPPORTED_COMPRESSION_TYPE",
  "INVALID_RECORD",
]);
// Answers that leave open whether the request took effect.
const OPEN_ANSWERS = new Set(["UNKNOWN_SERVER_ERROR", "REQUEST_TIMED_OUT", "NETWORK_EXCEPTION"]);
// What the client refuses by itself, before anything is sent.
const REFUSED = new Set([
  "PLT_KFK_USER",
  "PLT_KFK_UNSUPPORTED",
  "PLT_KFK_UNSUPPORTED_API",
  "PLT_KFK_UNSUPPORTED_COMPRESSION",
  "PLT_KFK_AUTHENTICATION",
]);
// Commands that change nothing when they fail.
const HARMLESS = new Set([
  ...["open", "poll", "consume", "committed", "position"],
  ...["end_offsets", "group_offsets", "describe_cluster"],
]);

/** Ends a command as `fail` or `info`, with fields beside the error. */
export class Outcome extends Error {
  constructor(kind, error, fields = {}) {
    super(error.message);
    this.kind = kind;
    this.fields = { ...fields, error };
  }
}

/** An error of the driver itself: the command cannot be carried out as it is written. */
export class Refused extends Error {}

/** All errors inside an error, without the wrappers. */
function leaves(error) {
  return error?.errors?.length ? error.errors.flatMap(leaves) : [error];
}

/** No connection was made, the client was closed already, or it refused what it was given. */
function neverSent(error) {
  const { syscall } = error?.cause ?? error ?? {};
  const unconnected = syscall === "connect" || syscall === "getaddrinfo";
  return unconnected || error?.closed === true || REFUSED.has(error?.code);
}

/** `fail` or `info` for records of one partition in a send that the client says has failed. */
export function sendOutcome(error, topic, partition) {
  return attempts(error).every((each) => excludes(each, topic, partition)) ? "fail" : "info";
}

/** The errors of the attempts: what a MultipleErrors has; a response's own are one attempt. */
function attempts(error) {
  const nested = error?.errors?.length && !error.response;
  return nested ? error.errors.flatMap(attempts) : [error];
}

function excludes(error, topic, partition) {
  if (error?.response?.responses) {
    const code = error.response.responses
      .find((each) => each.name === topic)
      ?.partitionResponses.find((each) => each.index === partition)?.errorCode;
    return NEVER_WRITTEN.has(kafka.protocolErrorsCodesById[code]);
  }
  return neverSent(error) || NEVER_WRITTEN.has(error?.apiId);
}

/** `fail` or `info` for a whole command. */
export function commandOutcome(op, error) {
  if (HARMLESS.has(op) || error instanceof Refused) {
    return "fail";
  }
  const certain = leaves(error).every((each) => {
    if (each?.apiId) {
      return !OPEN_ANSWERS.has(each.apiId);
    }
    return neverSent(each);
  });
  return certain ? "fail" : "info";
}

/** An error in the contract's form: the client's code, the protocol's name of a broker's answer. */
export function describe(error) {
  if (!(error instanceof Error)) {
    return { name: null, code: null, message: String(error) };
  }
  const found = leaves(error);
  const answer = found.findLast((each) => each?.apiId);
  const last = found.at(-1);
  const words = [error.message, ...new Set(found.map((each) => each?.message))];
  const cause = last?.cause?.message ?? "";
  const described = {
    name: answer?.apiId ?? null,
    code: error instanceof Refused ? null : (error.code ?? error.name),
    message: [...new Set([...words, cause].filter(Boolean))].join(" "),
  };
  const retriable = (answer ?? last)?.canRetry;
  return typeof retriable === "boolean" ? { ...described, retriable } : described;
}

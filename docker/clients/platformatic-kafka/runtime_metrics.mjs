/**
 * What only the driver sees of its own process and clients; null where it cannot be seen.
 *
 * All clients share one thread, so heap, pauses and the event loop's delay are the process's. The
 * delay is measured by a timer of 10 ms that notes how much later than that it fires. Each client's
 * report has the longest since its own last report, whoever else asked in between.
 */
import { readFileSync } from "node:fs";
import { monitorEventLoopDelay, PerformanceObserver } from "node:perf_hooks";

const RESOLUTION_MS = 10;
const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
const longest = new Map(); // client, or null for the process → ms since its last report
let gcMs = 0;

const collections = new PerformanceObserver((list) => addPauses(list.getEntries()));

/** Begin to measure. */
export function startMeasuring() {
  delay.enable();
  collections.observe({ entryTypes: ["gc"] });
}

/** Drop what is kept for a client that was closed. */
export function forget(client) {
  longest.delete(client);
}

function addPauses(entries) {
  for (const { duration } of entries) {
    gcMs += duration;
  }
}

function delayMsMax(client) {
  const late = delay.count > 0 ? Math.max(delay.max / 1e6 - RESOLUTION_MS, 0) : 0;
  delay.reset();
  if (!longest.has(client)) {
    longest.set(client, 0);
  }
  for (const [reader, before] of longest) {
    longest.set(reader, Math.max(before, late));
  }
  const found = longest.get(client);
  longest.set(client, 0);
  return found;
}

function threads() {
  const found = /^Threads:\s*(\d+)/m.exec(readFileSync("/proc/self/status", "latin1"));
  return found ? Number(found[1]) : null;
}

/** The contract's `runtime`; without a client only what the whole process has. */
export function runtimeMetrics(client) {
  const memory = process.memoryUsage();
  addPauses(collections.takeRecords());
  return {
    heap_bytes: memory.heapUsed,
    external_bytes: memory.external,
    buffered_records: client?.buffered() ?? null,
    scheduler_delay_ms_max: delayMsMax(client ?? null),
    gc_pause_ms_total: gcMs,
    threads: threads(),
    received_bytes: client?.connections?.received() ?? null,
    sent_bytes: client?.connections?.sent() ?? null,
  };
}

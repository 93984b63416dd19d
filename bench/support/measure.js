/** Figures out of samples, and what a process holds. */
import { readFileSync } from 'node:fs';

/** The sample below which the share `at` of all samples lies; NaN of none. Sorts in place. */
export function percentile(/** @type {number[] | Float64Array} */ samples, /** @type {number} */ at) {
  if (samples.length === 0) return NaN;
  // A typed array sorts by number, an array only when told.
  if (Array.isArray(samples)) samples.sort((a, b) => a - b);
  else samples.sort();
  return samples[Math.min(samples.length - 1, Math.floor(at * samples.length))];
}

export const median = (/** @type {number[]} */ values) => percentile([...values], 0.5);

const KIB_PER_MIB = 1024;

/** Resident memory of a process in MiB; NaN where there is no /proc. */
export function residentMib(/** @type {number} */ pid) {
  try {
    const line = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'));
    return line === null ? NaN : Number(line[1]) / KIB_PER_MIB;
  } catch {
    return NaN;
  }
}

const TICKS_PER_S = 100;

/** Processor seconds that a process has used; NaN where there is no /proc. */
export function cpuSeconds(/** @type {number} */ pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // proc_pid_stat(5): behind the name's bracket stands field 3; 14 and 15 are the ticks in user and system mode.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_S;
  } catch {
    return NaN;
  }
}

const NS_PER_S = 1e9;

/**
 * Seconds that a process's first thread, which is Node's event loop, has run, and that it could have run but others did;
 * NaN where there is no /proc.
 */
export function eventLoopSeconds(/** @type {number} */ pid) {
  try {
    const [ran, waited] = readFileSync(`/proc/${pid}/task/${pid}/schedstat`, 'latin1').split(' ').map(Number);
    return { ran: (ran ?? NaN) / NS_PER_S, waited: (waited ?? NaN) / NS_PER_S };
  } catch {
    return { ran: NaN, waited: NaN };
  }
}

/** The same of a process and its children, those that have ended included. */
export function familySeconds(/** @type {number} */ pid) {
  try {
    const ended = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = ended.slice(ended.lastIndexOf(')') + 2).split(' ');
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').split(' ').filter(Boolean);
    return children.reduce(
      (sum, child) => sum + (cpuSeconds(Number(child)) || 0),
      cpuSeconds(pid) + (Number(fields[13]) + Number(fields[14])) / TICKS_PER_S,
    );
  } catch {
    return NaN;
  }
}

/** Milliseconds of one clock for all processes of this machine. */
export const machineMs = () => Number(process.hrtime.bigint() / 1_000n) / 1_000;

import type { Step } from '../backend.ts';
import { LIMITS } from '../../domain/limits.ts';
import { BOUNDS } from './bounds.ts';
import { lineClock, LogLines } from './log-lines.ts';

/**
 * What a program says: every line goes to the attempt's log, stdout's raw bytes are kept because they may be the output.
 * `full` is called once, when a stream passes its bound; from then on nothing more is kept or logged.
 */
export class ProgramStreams {
  readonly #stdout: Uint8Array[] = [];
  readonly #bytes = { stdout: 0, stderr: 0 };
  readonly #lines: Record<'stdout' | 'stderr', LogLines>;
  readonly #system: (line: string) => void;
  #logged = 0;
  /** The start of stderr: where a sandbox says why it did not start. */
  #stderrHead = '';
  overflow: 'stdout' | 'stderr' | null = null;
  onFull: () => void = () => undefined;

  constructor(log: Step['log']) {
    const clock = lineClock();
    const logger = (source: 'stdout' | 'stderr' | 'system') => (line: string) => {
      this.#logged += Buffer.byteLength(line) + 1;
      log({ timeUs: clock(), source, line });
    };
    this.#system = logger('system');
    this.#lines = { stdout: new LogLines(logger('stdout')), stderr: new LogLines(logger('stderr')) };
  }

  push(source: 'stdout' | 'stderr', chunk: Uint8Array): void {
    if (this.overflow !== null) return;
    this.#bytes[source] += chunk.length;
    if (this.#bytes[source] > (source === 'stdout' ? BOUNDS.stdoutBytes : BOUNDS.stderrBytes)) {
      this.overflow = source;
      this.onFull();
      return;
    }
    if (source === 'stdout') this.#stdout.push(Uint8Array.from(chunk));
    else if (this.#stderrHead.length < 500) this.#stderrHead += Buffer.from(chunk).toString('latin1');
    // The log is cut at this; a flood of short lines would cost seconds of nothing but taking it apart.
    if (this.#logged <= LIMITS.attemptLogBytes) this.#lines[source].push(chunk);
  }

  system(line: string): void {
    this.#system(line);
  }

  end(): void {
    this.#lines.stdout.end();
    this.#lines.stderr.end();
  }

  get stdout(): Uint8Array {
    return Buffer.concat(this.#stdout);
  }

  get stderrHead(): string {
    return this.#stderrHead.slice(0, 500);
  }
}

import { expect, test } from 'vitest';
import { LIMITS, MIB } from '../../domain/limits.ts';
import { BOUNDS } from './bounds.ts';
import { ProgramStreams } from './streams.ts';

test('a flood of short lines is not taken apart beyond what the log holds, and still ends the program', () => {
  let lines = 0;
  let bytes = 0;
  let full = 0;
  const streams = new ProgramStreams(({ line }) => {
    lines++;
    bytes += line.length + 1;
  });
  streams.onFull = () => full++;
  const chunk = Buffer.from('y\n'.repeat(32 * 1024));
  for (let sent = 0; sent <= BOUNDS.stderrBytes; sent += chunk.length) streams.push('stderr', chunk);
  streams.end();
  // Enough that whoever keeps the log sees that it must be cut, and one chunk more at most.
  expect(bytes).toBeGreaterThan(LIMITS.attemptLogBytes);
  expect(bytes).toBeLessThanOrEqual(LIMITS.attemptLogBytes + chunk.length);
  expect(lines).toBe(bytes / 2);
  expect([full, streams.overflow]).toEqual([1, 'stderr']);
});

test('what is the output is kept whole, however much of it was logged', () => {
  const streams = new ProgramStreams(() => undefined);
  const chunk = Buffer.alloc(64 * 1024, 'x');
  for (let sent = 0; sent < MIB; sent += chunk.length) streams.push('stdout', chunk);
  streams.end();
  expect(streams.stdout.length).toBe(BOUNDS.stdoutBytes);
  expect(streams.overflow).toBeNull();
});

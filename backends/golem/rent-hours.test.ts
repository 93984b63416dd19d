import { expect, test } from 'vitest';
import { rentHours } from './rent-hours.ts';

test('every rental comes back as whole seconds, none shorter and none much longer', () => {
  for (let seconds = 1; seconds <= 100_000; seconds++) {
    const back = rentHours(seconds) * 60 * 60;
    if (!Number.isInteger(back) || back < seconds || back > seconds + 10) expect(back).toBe(seconds);
  }
});

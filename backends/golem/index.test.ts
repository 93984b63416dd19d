import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { outputOf } from '../../test/backends/stand.ts';
import { golemOn, runOnGolem } from '../../test/support/golem.ts';
import { startYagna, type Yagna } from '../../test/yagna/yagna.ts';
import type { GolemBackend } from './index.ts';

let yagna: Yagna;
let golem: GolemBackend;

beforeAll(async () => {
  yagna = await startYagna({ providers: [{ name: 'boston', region: 'US' }] });
  golem = golemOn(yagna);
});
afterAll(async () => {
  await golem[Symbol.asyncDispose]();
  await yagna.stop();
});

describe('an attempt on a provider', () => {
  it('runs the command with the container contract, and leaves the books balanced', async () => {
    const script =
      'cat "$BEACON_INPUT"; echo "$GREETING" >&2; mkdir "$BEACON_OUTPUT_DIR/sub"; echo file > "$BEACON_OUTPUT_DIR/sub/a.txt"';
    const told = await runOnGolem(golem, ['sh', '-c', script], {
      work: { environment: { GREETING: "it's me" } },
    });
    expect(told.outcome.failure).toBeUndefined();
    expect(outputOf(told)).toBe('{"question":"why?"}');
    expect(told.lines.map(({ source, line }) => `${source} ${line}`)).toEqual([
      'stdout {"question":"why?"}',
      "stderr it's me",
    ]);
    expect(told.outcome).toMatchObject({
      exitCode: 0,
      files: [{ name: 'sub/a.txt' }],
      placement: {
        provider: yagna.providers[0]!.id,
        region: { claimed: 'US', verified: false, method: 'claim-beacon-region' },
      },
    });
    expect(yagna.books().problems).toEqual([]);
  });
});

import { expect, test } from 'vitest';
import { openLog } from '../../../attestation/log/open.ts';
import { addCosignatures, setOwnCosigner } from '../../../store/log-cosignatures.ts';
import { reportMeeting, reportSequencer } from '../../../store/log-state.ts';
import { testApi } from '../../../test/support/api.ts';
import { testDatabase } from '../../../test/support/postgres.ts';
import { transparencyLogProbe } from './log-probe.ts';

test('a log that is not signed any more degrades health and says why, without the details', async () => {
  await using db = await testDatabase();
  await using api = await testApi({ probes: [transparencyLogProbe(db.pool)] });
  const { logId } = await openLog(db.pool);
  expect((await api.get('/health')).json.status).toBe('healthy');

  const refusal = { code: 'rollback_detected', message: 'the rollback guard /secret/place cannot be read' };
  await reportSequencer(db.pool, logId, { state: 'refusing', rollbackGuard: 'file', refusal });
  // Health looks again after half a second; another server has not looked yet.
  await using other = await testApi({ probes: [transparencyLogProbe(db.pool)] });
  const { status, json, text } = await other.get('/health/ready');
  expect(status).toBe(200);
  expect(json).toMatchObject({ ready: true, status: 'degraded' });
  expect((json.services as unknown[]).at(-1)).toMatchObject({
    name: 'transparency_log',
    status: 'unhealthy',
    required: false,
    error: 'the log is not signed any more: rollback_detected',
  });
  expect(text).not.toContain('secret');

  await reportSequencer(db.pool, logId, { state: 'leading', rollbackGuard: 'file', refusal: null });
  await expect(transparencyLogProbe(db.pool).check(AbortSignal.timeout(5_000))).resolves.toBeUndefined();

  await reportMeeting(db.pool, logId);
  await expect(transparencyLogProbe(db.pool).check(AbortSignal.timeout(5_000))).rejects.toThrow(
    'two sequencers',
  );
});

test('a log of which nobody says that it is fresh degrades health', async () => {
  await using db = await testDatabase();
  const { logId } = await openLog(db.pool);
  await reportSequencer(db.pool, logId, { state: 'leading', rollbackGuard: 'file', refusal: null });
  await setOwnCosigner(db.pool, logId, 'beacon.test/cosigner+00112233+key');
  const check = () => transparencyLogProbe(db.pool).check(AbortSignal.timeout(5_000));
  await expect(check()).resolves.toBeUndefined();
  const cosigned = (keyId: string, secondsAgo: number) => ({
    cosigner: 'beacon.test/cosigner',
    keyId,
    line: 'line\n',
    signedAt: new Date(Date.now() - secondsAgo * 1_000),
  });
  await addCosignatures(db.pool, logId, 3, [cosigned('00112233', 400), cosigned('44556677', 1)]);
  await expect(check()).rejects.toThrow('nobody said for 40');
  await addCosignatures(db.pool, logId, 3, [cosigned('00112233', 30)]);
  await expect(check()).resolves.toBeUndefined();
});

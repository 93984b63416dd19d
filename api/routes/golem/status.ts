import { z } from 'zod';
import { REGIONS } from '../../../domain/jobspec/region.ts';
import { readBreakers } from '../../../store/breakers.ts';
import { listSeenProviders, readMarket, readMoney, readWallet } from '../../../store/golem-reads.ts';
import { listNegotiations } from '../../../store/negotiations.ts';
import type { Pool } from '../../../store/pool.ts';
import { executionId } from '../../schemas.ts';
import type { RouteApp } from '../app-type.ts';
import { findExecution } from '../executions/find.ts';
import { breakersOf, breakerStats } from '../service/breaker-stats.ts';

const OPERATE = { permission: 'operate', mutates: false } as const;
const REFUSALS = [
  'unauthorized',
  'invalid_auth_format',
  'invalid_token',
  'admin_auth_not_configured',
] as const;
const glm = z.string().describe('GLM, as a decimal with 18 digits.');
const dropped = z.record(z.string(), z.int()).describe('Offers that were dropped, by the rule.');

const status = z.object({
  yagna: breakerStats.nullable().describe('Null: no worker serves Golem.'),
  wallet: z
    .object({ platform: z.string(), balance: glm, readAt: z.iso.datetime() })
    .nullable()
    .describe("Null: yagna's command line was never found."),
  money: z.array(
    z.object({
      platform: z.string(),
      accepted: glm,
      held: glm.describe('Held for attempts whose cost is not known.'),
      unpaid: glm.describe('Accepted, and not known to be paid on chain.'),
      unknown: z.int().describe('Attempts whose cost is not known.'),
    }),
  ),
  market: z.array(
    z.object({
      region: z.string(),
      looked_at: z.iso.datetime(),
      outcome: z.string(),
      seen: z.int(),
      candidates: z.int(),
      dropped,
    }),
  ),
});

const provider = z.object({
  provider: z.string(),
  name: z.string(),
  region: z.string().describe('For which it was a candidate.'),
  rank: z.string().describe('P0 to P3 (docs/golem.md).'),
  claimed: z.string().nullable(),
  estimate: z.string().describe('Expected price of a rental.'),
  last_seen_at: z.iso.datetime(),
  approved: z.int(),
  refused: z.int(),
  last_refusal: z.string().nullable().describe("The provider's own words."),
});

const negotiation = z.object({
  attempt: z.int().nullable().describe('Null: a look at the market.'),
  backend: z.string(),
  region: z.string().nullable(),
  outcome: z.string(),
  record: z.record(z.string(), z.unknown()),
  recorded_at: z.iso.datetime(),
});

/** What an operator asks of Golem: how it is, who is there, and why an execution found nobody. */
export function registerGolem(app: RouteApp, pool: Pool): void {
  app.get(
    '/api/v1/golem/status',
    {
      config: OPERATE,
      schema: {
        operationId: 'getGolemStatus',
        summary: 'How yagna, the wallet and the market are.',
        tags: ['golem'],
        response: { 200: status.describe('The market as the looks of the last hour saw it.') },
        errors: REFUSALS,
      },
    },
    async () => {
      const [breakers, wallet, money, market] = await Promise.all([
        readBreakers(pool),
        readWallet(pool),
        readMoney(pool),
        readMarket(pool),
      ]);
      return {
        yagna: breakersOf(breakers).find(({ Name }) => Name === 'yagna') ?? null,
        wallet: wallet ?? null,
        money,
        market: market.map((one) => ({ ...one, looked_at: one.looked_at.toISOString() })),
      };
    },
  );
  app.get(
    '/api/v1/golem/providers',
    {
      config: OPERATE,
      schema: {
        operationId: 'listGolemProviders',
        summary: 'Providers that were candidates in the last hour.',
        tags: ['golem'],
        querystring: z.object({ region: z.enum(REGIONS).optional() }),
        response: { 200: z.object({ providers: z.array(provider) }).describe('At most 500.') },
        errors: [...REFUSALS, 'validation_error'],
      },
    },
    async (request) => {
      const rows = await listSeenProviders(pool, request.query.region ?? null);
      return { providers: rows.map((row) => ({ ...row, last_seen_at: row.last_seen_at.toISOString() })) };
    },
  );
  app.get(
    '/api/v1/executions/:id/negotiations',
    {
      config: { permission: 'read', mutates: false },
      schema: {
        operationId: 'listNegotiations',
        summary: 'How providers were looked for: offers seen, dropped by which rule, who refused and why.',
        tags: ['golem'],
        params: executionId,
        response: {
          200: z
            .object({ execution_id: z.string(), negotiations: z.array(negotiation) })
            .describe('The newest first, at most 200.'),
        },
        errors: ['invalid_execution_id', 'execution_not_found'],
      },
    },
    async (request) => {
      const { id } = await findExecution(pool, request.params.id, request.principal);
      const rows = await listNegotiations(pool, id);
      return {
        execution_id: id,
        negotiations: rows.map((row) => ({ ...row, recorded_at: row.recorded_at.toISOString() })),
      };
    },
  );
}

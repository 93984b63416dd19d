import type { Queryable } from './pool.ts';

/** Looks at the market that tell who is there now. */
const LOOKED_WITHIN = '1 hour';
const LOOKS = 500;

export interface MarketOfRegion {
  region: string;
  /** Of the newest look. */
  looked_at: Date;
  outcome: string;
  seen: number;
  candidates: number;
  dropped: Record<string, number>;
}

/** What the newest look at the market for each region saw. */
export async function readMarket(db: Queryable): Promise<MarketOfRegion[]> {
  const { rows } = await db.query<MarketOfRegion>(
    `select distinct on (region) region, recorded_at as looked_at, outcome,
            coalesce((record->>'seen')::int, 0) as seen,
            coalesce(json_array_length(record->'candidates'), 0) as candidates,
            coalesce(record->'dropped', '{}') as dropped
     from (select * from negotiations where attempt is null and region is not null and record->'failure' is null
           order by recorded_at desc limit ${LOOKS}) recent
     where recorded_at > now() - interval '${LOOKED_WITHIN}'
     order by region, recorded_at desc`,
  );
  return rows;
}

export interface MoneyOfPlatform {
  platform: string;
  accepted: string;
  /** Of attempts whose cost is not known. */
  held: string;
  /** Accepted and not known to be paid. */
  unpaid: string;
  unknown: number;
}

export async function readMoney(db: Queryable): Promise<MoneyOfPlatform[]> {
  const { rows } = await db.query<MoneyOfPlatform>(
    `select platform, coalesce(sum(accepted), 0)::numeric(38, 18)::text as accepted,
            coalesce(sum(cap) filter (where accepted is null), 0)::numeric(38, 18)::text as held,
            coalesce(sum(accepted) filter (where settled_at is null), 0)::numeric(38, 18)::text as unpaid,
            count(*) filter (where accepted is null)::int as unknown
     from payments group by platform order by platform`,
  );
  return rows;
}

export interface SeenProvider {
  provider: string;
  name: string;
  region: string;
  rank: string;
  claimed: string | null;
  estimate: string;
  last_seen_at: Date;
  /** Of the same hour: how often it approved, and the last words with which it refused. */
  approved: number;
  refused: number;
  last_refusal: string | null;
}

/** Who was a candidate in the last hour, by region. */
export async function listSeenProviders(db: Queryable, region: string | null): Promise<SeenProvider[]> {
  const { rows } = await db.query<SeenProvider>(
    `with recent as materialized (
       select * from negotiations where recorded_at > now() - interval '${LOOKED_WITHIN}'
       order by recorded_at desc limit ${2 * LOOKS}
     ), seen as (
       select distinct on (r.region, c->>'provider') c->>'provider' as provider, c->>'name' as name, r.region,
              c->>'rank' as rank, c->>'claimed' as claimed, c->>'estimate' as estimate, r.recorded_at as last_seen_at
       from recent r, json_array_elements(r.record->'candidates') c
       where r.attempt is null and ($1::text is null or r.region = $1)
       order by r.region, c->>'provider', r.recorded_at desc
     ), refusals as (
       select f->>'provider' as provider, count(*)::int as refused,
              (array_agg(f->>'why' order by r.recorded_at desc))[1] as last_refusal
       from recent r, json_array_elements(r.record->'refusals') f where r.attempt is not null group by 1
     ), approvals as (
       select record->>'provider' as provider, count(*)::int as approved
       from recent where attempt is not null group by 1
     )
     select s.*, coalesce(a.approved, 0) as approved, coalesce(f.refused, 0) as refused,
            f.last_refusal
     from seen s left join refusals f on f.provider = s.provider left join approvals a on a.provider = s.provider
     order by s.region, s.rank, s.provider limit 500`,
    [region],
  );
  return rows;
}

export interface Wallet {
  platform: string;
  /** GLM, as a decimal. */
  balance: string;
  readAt: string;
}

const WALLET = 'golem_wallet';

/** What yagna's command line said last; undefined where it was never found. */
export async function readWallet(db: Queryable): Promise<Wallet | undefined> {
  const { rows } = await db.query<{ value: Wallet }>('select value from settings where key = $1', [WALLET]);
  return rows[0]?.value;
}

export async function writeWallet(db: Queryable, wallet: Wallet): Promise<void> {
  await db.query(
    `insert into settings (key, value) values ($1, $2)
     on conflict (key) do update set value = excluded.value, updated_at = now()`,
    [WALLET, JSON.stringify(wallet)],
  );
}

import type { JobRow } from '../../../store/job-reads.ts';

const time = (value: Date | null): string | null => value?.toISOString() ?? null;

/** A job as the list shows it. */
export function jobItemView(row: JobRow) {
  return {
    id: row.id,
    status: row.state,
    name: row.name,
    visibility: row.visibility,
    counts: { total: row.total, open: row.open, completed: row.completed },
    created_at: row.created_at.toISOString(),
    started_at: time(row.started_at),
    ended_at: time(row.ended_at),
  };
}

/**
 * A job as its own route shows it: the members of the spec, as older clients read them, with ours laid over them. What
 * was signed, byte for byte, stands at `links.spec`: this view is never what a signature covers.
 */
export function jobView(row: JobRow & { raw: Buffer }) {
  const base = `/api/v1/jobs/${encodeURIComponent(row.id)}`;
  return {
    // Erased specs are empty.
    ...(row.raw.length === 0 ? {} : (JSON.parse(row.raw.toString('utf8')) as Record<string, unknown>)),
    ...jobItemView(row),
    state: row.state,
    jobspec_id: row.id,
    owner: row.owner,
    form: row.form,
    result_version: row.version,
    cancel_requested_at: time(row.cancel_requested_at),
    summary_cid: row.summary_cid,
    manifest_cid: row.manifest_cid,
    directory_cid: row.directory_cid,
    links: {
      self: base,
      spec: `${base}/spec`,
      events: `${base}/events`,
      executions: `${base}/executions`,
      bundle: `${base}/bundle`,
      directory: `${base}/directory`,
    },
  };
}

import type { Outcome, Step, Work } from '../backend.ts';
import { Refusal } from '../refusal.ts';
import { unplaced } from '../unplaced.ts';
import { resolveImage, type Gvmi } from './images.ts';
import { HandedBack } from '../../domain/handed-back.ts';
import { isAway } from './away.ts';
import { noCandidates } from './no-candidates.ts';
import { Session, type SessionDeps } from './session.ts';
import { statusOf } from './waiting.ts';
import { placesIn, wrapperScript } from './wrapper.ts';

/** What fails before there is a session costs nothing. */
export async function runAttempt(work: Work, step: Step, deps: SessionDeps): Promise<Outcome> {
  const outcome = unplaced(work, { backend: 'golem', provider: null, claimed: null });
  const { settings, connections } = deps;
  let gvmi: Gvmi;
  let script: string;
  try {
    step.heartbeat('checking');
    gvmi = await resolveImage(work, settings);
    script = scriptOf(work, gvmi, step.budgetMs);
    if ((work.negotiated?.candidates.length ?? 0) === 0) throw noCandidates(work);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return { ...outcome, failure: error.failure };
  }
  using connection = await connections.take(true).catch((error: unknown) => {
    throw isAway(error) ? handedBack(step, error) : error;
  });
  const session = new Session(work, step, deps, connection, outcome);
  try {
    await session.run(gvmi, script);
  } catch (error) {
    step.signal.throwIfAborted();
    if (!session.approved && (await isYagnas(error, deps))) throw handedBack(step, error);
    if (!(error instanceof Refusal)) throw error;
    outcome.failure = error.failure;
  } finally {
    await session.end();
  }
  return outcome;
}

/** Before an approval: not a provider failed but yagna, also where all that was seen of it is that nobody answered. */
async function isYagnas(error: unknown, { rest }: SessionDeps): Promise<boolean> {
  if (error instanceof Refusal)
    return (
      error.failure.code === 'nobody_approved' &&
      (await rest.version().then(
        () => false,
        () => true,
      ))
    );
  return isAway(error) || (statusOf(error) ?? 0) >= 500;
}

function handedBack(step: Step, cause: unknown): HandedBack {
  const line = 'yagna went away before a provider approved; the attempt is handed back';
  step.log({ timeUs: Date.now() * 1_000, source: 'system', line });
  return new HandedBack(line, { cause });
}

/** Checked with the longest time that it could have, before anything costs; written again when that is known. */
function scriptOf(work: Work, { volume }: Gvmi, budgetMs: number): string {
  const seconds = Math.max(1, Math.floor(budgetMs / 1_000));
  return wrapperScript({ ...work, seconds }, placesIn(volume));
}

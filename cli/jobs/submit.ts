import { LIMITS } from '../../domain/limits.ts';
import type { SubmitOptions } from '../commands/jobs.ts';
import type { Context } from '../context.ts';
import { CliError, EXIT } from '../failure.ts';
import { submitAnswer } from '../http/answers.ts';
import { connect, readJob } from '../http/api.ts';
import { nameOf, readInput } from '../input.ts';
import { parseSpecFile } from '../keys/sign.ts';
import { unreadMembers } from '../keys/unread-members.ts';
import { counted } from '../text/counted.ts';
import { printable } from '../text/printable.ts';
import { jobLines } from './get.ts';
import { showProgress } from './show-progress.ts';
import { checkSpec, isPrivate, requireSigned } from './signed-spec.ts';

/** `beacon submit`: sends the bytes of the file exactly as they are. */
export async function submit(context: Context, file: string, options: SubmitOptions): Promise<number> {
  const bytes = await readInput(context, file, LIMITS.bodyBytes);
  const tree = parseSpecFile(bytes, nameOf(file));
  requireSigned(tree, nameOf(file));
  if (options.dryRun === true) {
    dryRun(context, checkSpec(tree, nameOf(file)), unreadMembers(tree));
    return EXIT.ok;
  }
  const api = await connect(context);
  const headers: Record<string, string> =
    options.idempotencyKey === undefined ? {} : { 'idempotency-key': options.idempotencyKey };
  const answer = await api.client.json('/api/v1/jobs', submitAnswer, {
    method: 'POST',
    body: bytes,
    headers,
  });
  const { id } = answer;
  if (options.idOnly === true) {
    if (context.json) context.document({ id });
    else context.line(printable(id));
    return EXIT.ok;
  }
  const repeated = answer.idempotent === true;
  if (options.wait !== true && options.watch !== true) {
    if (context.json) context.document(answer);
    else {
      context.line(
        `job ${printable(id)} ${repeated ? 'was submitted before' : (answer.status ?? 'enqueued')}`,
      );
      context.note(`follow it: beacon job watch ${printable(id)}`);
    }
    return EXIT.ok;
  }
  const progress = await showProgress(context, api, id, { quiet: options.wait === true }).catch(
    (thrown: unknown) => {
      throw thrown instanceof CliError && thrown.code === 'not_found' && isPrivate(tree)
        ? hiddenHere(id, thrown)
        : thrown;
    },
  );
  if (options.wait === true) {
    const job = await readJob(api.client, id);
    if (context.json) context.document(job);
    else for (const line of jobLines(job, context)) context.line(line);
  }
  return progress.state === 'completed' ? EXIT.ok : EXIT.failed;
}

/** Accepted and at once unknown: so the service answers everybody who may not see a private job. */
function hiddenHere(id: string, cause: CliError): CliError {
  const message = `job ${id} is accepted; the job is private: only its key and the operator read it`;
  return new CliError('not_found', message, {
    next: 'name the key that signed it with BEACON_KEY, or set BEACON_OPERATOR_TOKEN',
    serverCode: cause.serverCode,
    cause,
  });
}

function dryRun(
  context: Context,
  { spec, verified, plan }: ReturnType<typeof checkSpec>,
  unread: string[],
): void {
  const ignored = [...spec.ignored, ...unread];
  if (context.json) {
    context.document({
      ok: true,
      id: spec.id ?? null,
      public_key: verified.publicKey,
      form: verified.form,
      executions: plan.executions.length,
      plan,
      ignored,
    });
    return;
  }
  context.line(`signature  holds (form ${verified.form}), by ${verified.publicKey}`);
  context.line(`job        ${spec.id ?? 'the service will make an id'}: ${printable(spec.benchmark.name)}`);
  const models = plan.models.length === 0 ? '' : ` × ${plan.models.length} models`;
  const questions = plan.questions === 0 ? '' : ` × ${plan.questions} questions`;
  context.line(
    `plan       ${counted(plan.executions.length, 'execution')}: ${plan.regions.join(', ')}${models}${questions}`,
  );
  context.line(
    `succeeds   with ${plan.min_success_rate} of them, in ${counted(plan.min_regions, 'region')} or more`,
  );
  for (const path of ignored) context.line(`ignored    ${printable(path)}`);
  context.line('nothing was sent');
}

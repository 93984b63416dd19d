import type { Sha256 } from '../crypto.ts';
import { toHex } from '../encoding.ts';
import type { Plan } from '../jobspec/plan.ts';
import type { JobSpec } from '../jobspec/spec.ts';
import { imageOf, inputBytes } from '../jobspec/work-input.ts';
import { canonicalJson } from '../json/jcs.ts';
import type { ExecutionReceipt } from './execution-receipt.ts';

/** One execution that a signed job spec asks for, in the words of a receipt; null for what the job does not name. */
export interface PlannedRow {
  region: string | null;
  model: string | null;
  question: { index: number; text: string } | null;
  image: string;
  /** Of the bytes that the program is given. */
  inputSha256: string;
}

/** Every execution of the plan, in its order. */
export function plannedRows(spec: JobSpec, plan: Plan, sha256: Sha256): PlannedRow[] {
  // The input is the same in every region.
  const inputs = new Map<string, string>();
  const inputSha256 = (model: string | null, question: string | null): string => {
    const key = canonicalJson([model, question]);
    const known = inputs.get(key) ?? toHex(sha256(inputBytes(spec, model, question)));
    inputs.set(key, known);
    return known;
  };
  return plan.executions.map(([regionAt, modelAt, questionAt]) => {
    const model = plan.models[modelAt] ?? null;
    const text = spec.questions[questionAt];
    return {
      region: plan.regions[regionAt] ?? null,
      model,
      question: text === undefined ? null : { index: questionAt, text },
      image: imageOf(spec, model),
      inputSha256: inputSha256(model, text ?? null),
    };
  });
}

/** What a receipt says that was asked of its execution. */
export function rowOf(receipt: ExecutionReceipt): PlannedRow {
  return {
    region: receipt.region?.requested ?? null,
    model: receipt.model ?? null,
    question:
      receipt.question === undefined ? null : { index: receipt.question.index, text: receipt.question.text },
    image: receipt.image_requested,
    inputSha256: receipt.input_sha256,
  };
}

/** Equal for equal rows and for no others. */
export function rowKey(row: PlannedRow): string {
  return canonicalJson(row);
}

/** A row for people. */
export function describeRow({ region, model, question, image }: PlannedRow): string {
  return [
    `region ${region ?? 'none'}`,
    ...(model === null ? [] : [`model ${model}`]),
    ...(question === null ? [] : [`question ${question.index}`]),
    `image ${image}`,
  ].join(', ');
}

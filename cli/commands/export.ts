import { Option, type Command } from 'commander';
import type { VerifyOptions } from './verify.ts';
import { CliError } from '../failure.ts';
import { examples, type Run } from './run.ts';

/** What `export` writes, each for other tools (docs/verify.md). */
export const EXPORT_FORMATS = {
  sigstore: 'a Sigstore bundle v0.3, for cosign and @sigstore/verify',
  'tlog-proof': 'a c2sp.org/tlog-proof@v1 of the log entry',
  dsse: 'the signed DSSE envelope',
  document: 'the receipt, or the summary of a job',
  leaf: 'the log entry that the proof is of',
  'public-key': 'the receipt key that signed, as PEM',
  'trusted-root': "the log's trusted keys as a Sigstore trusted root",
  car: 'document and envelope as IPFS blocks (CAR version 1); of a file or directory all of its blocks',
} as const;
export type ExportFormat = keyof typeof EXPORT_FORMATS;

const NAMES = Object.keys(EXPORT_FORMATS) as ExportFormat[];
const camel = (name: string) => name.replace(/-(\w)/g, (_dash, letter: string) => letter.toUpperCase());

export interface ExportOptions extends VerifyOptions {
  files?: boolean;
}

/** `export`. */
export function exportCommands(program: Command, run: Run): void {
  const command = program
    .command('export')
    .description('a proof in the form that other tools check: cosign, @sigstore/verify, spicy, openssl')
    .argument(
      '<what>',
      'an execution, a job (its summary), a CID, or a bundle file (works with the network off)',
    )
    .argument('[out]', 'a file (default: standard output)');
  for (const name of NAMES) command.addOption(new Option(`--${name}`, EXPORT_FORMATS[name]));
  command
    .option('--files', 'with --car: the output and the files of the execution as well')
    .option('--vkey <key>', "the log's verifier key to trust (name+id+key)")
    .option('--trust <file>', 'pinned keys (default: trust.json in the state folder; pinned at first use)')
    .action(
      (
        what: string,
        out: string | undefined,
        options: ExportOptions & Record<string, unknown>,
        self: Command,
      ) =>
        run(self, async (context) =>
          (await import('../export/export.ts')).exportProof(context, what, out, formatOf(options), options),
        ),
    );
  examples(command, [
    'beacon export job-001#1 receipt.sigstore.json --sigstore',
    'beacon export b.json root.json --trusted-root --vkey "beacon.example/log+5b9c...+AW..."',
    'beacon export 17 --tlog-proof',
    'beacon export 17 17.car --car --files',
  ]);
}

function formatOf(options: Record<string, unknown>): ExportFormat {
  const [format, ...others] = NAMES.filter((name) => options[camel(name)] === true);
  if (options.files === true && format !== 'car') throw new CliError('usage', '--files belongs to --car');
  if (format !== undefined && others.length === 0) return format;
  const list = NAMES.map((name) => `--${name}`).join(', ');
  throw new CliError(
    'usage',
    format === undefined ? 'no form is named' : 'only one form can be written at a time',
    {
      next: `one of ${list}`,
    },
  );
}

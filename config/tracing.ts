import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { SettingsError } from './settings.ts';
import type { Values, VariableName } from './variables.ts';

/** Where traces go; null: nowhere, and OpenTelemetry's SDK is not loaded. */
export function traceEndpoint(settings: Values): string | null {
  if (settings.OTEL_SDK_DISABLED || settings.OTEL_TRACES_EXPORTER === 'none') return null;
  return settings.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT ?? settings.OTEL_EXPORTER_OTLP_ENDPOINT;
}

const FORMS = ['OTEL_EXPORTER_OTLP', 'OTEL_EXPORTER_OTLP_TRACES'] as const;
const certificate = (pem: Buffer): unknown => new X509Certificate(pem);

/** The SDK would go on with other authorities than were named, and without a key that it cannot read. */
export function requireTraceFiles(settings: Values): void {
  for (const form of FORMS) {
    requirePem(settings, `${form}_CERTIFICATE`, 'certificate', certificate);
    requirePem(settings, `${form}_CLIENT_CERTIFICATE`, 'certificate', certificate);
    requirePem(settings, `${form}_CLIENT_KEY`, 'private key', createPrivateKey);
    if ((settings[`${form}_CLIENT_CERTIFICATE`] === null) !== (settings[`${form}_CLIENT_KEY`] === null))
      throw new SettingsError(`${form}_CLIENT_CERTIFICATE and ${form}_CLIENT_KEY: one needs the other`);
  }
}

type FileVariable = Extract<VariableName, `OTEL_${string}_${'CERTIFICATE' | 'CLIENT_KEY'}`>;

function requirePem(
  settings: Values,
  name: FileVariable,
  what: string,
  parse: (pem: Buffer) => unknown,
): void {
  const file = settings[name];
  if (file === null) return;
  const pem = read(name, file);
  try {
    parse(pem);
  } catch {
    // OpenSSL's own words say nothing of use.
    throw new SettingsError(`${name}: ${file} holds no ${what} in PEM`);
  }
}

function read(name: FileVariable, file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (cause) {
    throw new SettingsError(`${name}: cannot read ${file}`, { cause });
  }
}

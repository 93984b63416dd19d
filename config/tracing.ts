import { readFileSync } from 'node:fs';
import { SettingsError } from './settings.ts';
import type { Values } from './variables.ts';

/** Where traces go; null: nowhere, and OpenTelemetry's SDK is not loaded. */
export function traceEndpoint(settings: Values): string | null {
  if (settings.OTEL_SDK_DISABLED || settings.OTEL_TRACES_EXPORTER === 'none') return null;
  return settings.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT ?? settings.OTEL_EXPORTER_OTLP_ENDPOINT;
}

/** The SDK would go on with other authorities than were named. */
export function requireCertificate({ OTEL_EXPORTER_OTLP_CERTIFICATE: file }: Values): void {
  if (file === null) return;
  try {
    readFileSync(file);
  } catch (cause) {
    throw new SettingsError(`OTEL_EXPORTER_OTLP_CERTIFICATE: cannot read ${file}`, { cause });
  }
}

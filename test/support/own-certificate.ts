import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';

/** What is missing for a certificate of our own; null: nothing. */
export const NO_OPENSSL = spawnSync('openssl', ['version']).status === 0 ? null : 'openssl is not installed';

export interface OwnCertificate {
  /** PEM, and the file of the certificate. */
  key: string;
  certificate: string;
  file: string;
}

/** A self-signed certificate of `localhost`. */
export function ownCertificate(folder: string, name = 'own'): OwnCertificate {
  const [file, key] = ['crt', 'key'].map((ending) => path.join(folder, `${name}.${ending}`)) as [
    string,
    string,
  ];
  execFileSync(
    'openssl',
    [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'],
      ...['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost', '-out', file, '-keyout', key],
    ],
    { stdio: 'ignore' },
  );
  return { file, key: readFileSync(key, 'utf8'), certificate: readFileSync(file, 'utf8') };
}

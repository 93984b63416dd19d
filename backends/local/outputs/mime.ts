const TYPES = new Map(
  Object.entries({
    json: 'application/json',
    jsonl: 'application/x-ndjson',
    txt: 'text/plain',
    log: 'text/plain',
    md: 'text/markdown',
    csv: 'text/csv',
    html: 'text/html',
    xml: 'application/xml',
    yaml: 'application/yaml',
    yml: 'application/yaml',
    pdf: 'application/pdf',
    png: 'image/png',
    jpg: 'image/jpeg',
    jpeg: 'image/jpeg',
    svg: 'image/svg+xml',
    gz: 'application/gzip',
    tar: 'application/x-tar',
    zip: 'application/zip',
  }),
);

/** By extension only; a program's word about its own files is nothing to rely on. */
export function mimeOf(name: string): string {
  const dot = name.lastIndexOf('.');
  return (
    (dot === -1 ? undefined : TYPES.get(name.slice(dot + 1).toLowerCase())) ?? 'application/octet-stream'
  );
}

import { z } from 'zod';

/** Golem's computation manifest, what of it concerns the network. */
const manifest = z.object({
  compManifest: z
    .object({
      net: z
        .object({ inet: z.object({ out: z.object({ urls: z.array(z.string()).optional() }) }) })
        .optional(),
    })
    .optional(),
});

/** URLs that a demand's manifest asks for; none without a manifest. */
export function manifestUrls(properties: Record<string, unknown>): string[] {
  const payload = properties['golem.srv.comp.payload'];
  if (typeof payload !== 'string') return [];
  try {
    const parsed = manifest.parse(JSON.parse(Buffer.from(payload, 'base64').toString('utf8')));
    return parsed.compManifest?.net?.inet.out.urls ?? [];
  } catch {
    return ['(unreadable manifest)'];
  }
}

/** A pattern may end with `*`. */
export const urlAllowed = (url: string, pattern: string) =>
  pattern.endsWith('*') ? url.startsWith(pattern.slice(0, -1)) : url === pattern;

import { isJsonObject, type JsonObject } from '../json/node.ts';
import { LIMITS } from '../limits.ts';
import { readRegions } from './constraints.ts';
import { member, quoted, readItems, readObject, readText, refused, type Field } from './field.ts';
import { joinImage } from './image.ts';
import type { Region } from './region.ts';

/** A model that the job asks (spec: beacon §1.2). */
export interface Model {
  id: string;
  name: string;
  provider: string | undefined;
  /** The model's own image; undefined = the benchmark's container. */
  image: string | undefined;
  /** Where it runs; the job's regions when it names none. */
  regions: Region[];
  /** Where the spec names it, for errors. */
  path: string;
}

export interface Models {
  models: Model[];
  /** Items of `metadata.models` that name no model. */
  ignored: string[];
}

/**
 * Models come from `models`, else from `metadata.models` (strings or objects; other items are ignored and reported),
 * else from a `metadata.model` that is a string.
 */
export function parseModels(spec: JsonObject, metadata: JsonObject, jobRegions: Region[]): Models {
  const items = readItems(member(spec, 'models'), LIMITS.modelsPerJob) ?? [];
  if (items.length > 0)
    return { models: unique(items.map((item) => readModel(item, jobRegions))), ignored: [] };
  const listed = member(metadata, 'models', 'metadata');
  const inMetadata = Array.isArray(listed.value) ? readItems(listed, LIMITS.modelsPerJob)! : [];
  const named = inMetadata.filter(namesModel);
  if (inMetadata.length > 0) {
    const ignored = inMetadata.filter((item) => !namesModel(item)).map((item) => item.path);
    return { models: unique(named.map((item) => readModel(item, jobRegions))), ignored };
  }
  const single = member(metadata, 'model', 'metadata');
  return { models: namesModel(single) ? [readModel(single, jobRegions)] : [], ignored: [] };
}

function namesModel({ value }: Field): boolean {
  const id = isJsonObject(value) ? value.get('id') : value;
  return typeof id === 'string' && id !== '';
}

function readModel(field: Field, jobRegions: Region[]): Model {
  if (typeof field.value === 'string') {
    const id = readId(field);
    return { id, name: id, provider: 'hybrid', image: undefined, regions: jobRegions, path: field.path };
  }
  const object = readObject(field);
  const at = (key: string): Field => member(object, key, field.path);
  const id = readId(at('id'));
  const image = readText(at('container_image'), LIMITS.imageBytes);
  const own = readRegions(at('regions')) ?? [];
  return {
    id,
    name: readText(at('name'), LIMITS.specNameBytes) ?? id,
    provider: readText(at('provider'), LIMITS.specWordBytes),
    image:
      image === undefined
        ? undefined
        : joinImage({ value: image, path: at('container_image').path }, undefined),
    regions: own.length === 0 ? jobRegions : own,
    path: field.path,
  };
}

function readId(field: Field): string {
  const id = readText(field, LIMITS.modelIdBytes);
  if (id === undefined) throw refused(field, 'must name the model');
  return id;
}

/** A model written twice alike counts once; the same id with two meanings is an error. */
function unique(models: Model[]): Model[] {
  const byId = new Map<string, Model>();
  for (const model of models) {
    const first = byId.get(model.id);
    if (first === undefined) byId.set(model.id, model);
    else if (JSON.stringify({ ...first, path: '' }) !== JSON.stringify({ ...model, path: '' })) {
      throw refused(model, `names the model ${quoted(model.id)} again, with other properties`);
    }
  }
  return [...byId.values()];
}

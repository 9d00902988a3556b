import { resolve } from 'node:path'
import { namesIn, sizeOf } from './on-disk.ts'
import { sinkFolder } from './sink-folder.ts'

/** The files of a sink in the spill folder of this host. */
export interface SpillFiles {
  readonly segments: number
  readonly bytes: number
  /** The paths of damaged segments. They are kept for inspection and are not delivered again. */
  readonly damaged: readonly string[]
}

/**
 * Lists the files of all processes of an app on this host, by sink.
 *
 * @param names the names of known sinks; for other sinks, the name of the folder is shown
 */
export async function spillFiles(
  dir: string,
  app: string,
  names: readonly string[],
): Promise<ReadonlyMap<string, SpillFiles>> {
  const known = new Map(names.map((name) => [sinkFolder(name), name]))
  const found = new Map<string, { segments: number; bytes: number; damaged: string[] }>()
  const folder = resolve(dir, app)
  for (const owner of await namesIn(folder)) {
    for (const sink of await namesIn(`${folder}/${owner}`)) {
      const name = known.get(sink) ?? sink
      for (const file of await namesIn(`${folder}/${owner}/${sink}`)) {
        const path = `${folder}/${owner}/${sink}/${file}`
        const files = found.get(name) ?? { segments: 0, bytes: 0, damaged: [] }
        found.set(name, files)
        if (file.endsWith('.damaged')) files.damaged.push(path)
        if (!file.endsWith('.spill')) continue
        files.segments++
        files.bytes += await sizeOf(path)
      }
    }
  }
  return found
}

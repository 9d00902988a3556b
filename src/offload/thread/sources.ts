import { ChunkReader } from '../streams/chunk-reader.ts'
import type { OffloadTask, SourceArgument } from '../protocol.ts'
import { openFile } from './open-file.ts'

/** Returns the arguments of a call, with its streams and files inserted. */
export function openSources({ args, sources = [] }: OffloadTask): readonly unknown[] {
  if (sources.length === 0) return args
  const opened = [...args]
  for (const source of sources) opened[source.index] = open(source)
  return opened
}

function open(source: SourceArgument): AsyncIterable<unknown> {
  return source.kind === 'file' ? openFile(source) : new ChunkReader(source, { tellsHunger: true })
}

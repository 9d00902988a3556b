import { createHash } from 'node:crypto'

/** Returns the name of a sink's folder. It differs from the sink's name, which may contain any characters. */
export function sinkFolder(sink: string): string {
  const digest = createHash('sha256').update(sink).digest('hex').slice(0, 8)
  return `${sink.replaceAll(/[^\w-]/g, '_').slice(0, 60)}-${digest}`
}

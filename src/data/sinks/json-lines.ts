import type { RowModel } from '../../sink/sink.ts'
import { FILE_CHECKS, fileSink, type FileSinkClass, type FileSinkOptions } from './file-sink.ts'
import { jsonText } from './json-text.ts'
import { LineEncoder } from './row-text.ts'

/**
 * A sink class that writes each row as one line of JSON in UTF-8, one file for each window. A run that succeeds replaces the whole file of
 * its window. A run that fails leaves the file unchanged.
 *
 * A `bigint` becomes a JSON number with all its digits. A `Date` is written in ISO 8601, a `Uint8Array` in base64. A property that is
 * undefined is omitted.
 *
 * @throws PikoError `SINK_FAILED` naming every wrong option
 * @example
 * const OrderFiles = jsonLines({ model: Order, path: 'out/{job}/{window}.jsonl.gz' })
 */
export function jsonLines<M extends RowModel>(options: FileSinkOptions<M>): FileSinkClass<M> {
  return fileSink<M, FileSinkOptions<M>>(options, {
    name: 'jsonl',
    checks: FILE_CHECKS,
    problems: () => [],
    format: () => ({
      begin: (file, place) => new LineEncoder(file, place, (row, where) => `${jsonText(row, where)}\n`),
    }),
  })
}

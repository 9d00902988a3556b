import { listOf, aText, expecting, flag, type OptionChecks } from '../../options.ts'
import type { RowModel, RowOf } from '../../sink/sink.ts'
import { modelColumns } from '../../sink/sql/model-columns.ts'
import { FILE_CHECKS, fileSink, type FileSinkClass, type FileSinkOptions } from './file-sink.ts'
import { jsonText } from './json-text.ts'
import { LineEncoder, unfitValue } from './row-text.ts'

export interface CsvOptions<M extends RowModel> extends FileSinkOptions<M> {
  /** The properties to write, in their order. Default: all properties of the schema. Required for a class. */
  readonly columns?: readonly (keyof RowOf<M> & string)[]
  /** Whether the first line has the names of the columns. Default `true`. */
  readonly header?: boolean
  /** One character between the fields. Default `,`. */
  readonly delimiter?: string
  /** Whether the file begins with a byte order mark, which some spreadsheets need to read UTF-8. Default `false`. */
  readonly bom?: boolean
}

const LINE_END = '\r\n'

const CHECKS: OptionChecks<CsvOptions<RowModel>> = {
  ...FILE_CHECKS,
  columns: listOf('properties', aText),
  header: flag,
  delimiter: expecting(
    'one character other than a quote and a line end',
    (value) => typeof value === 'string' && /^[^"\r\n\0]$/u.test(value),
  ),
  bom: flag,
}

/**
 * A sink class that writes CSV files (RFC 4180) in UTF-8, one file for each window. A run that succeeds replaces the whole file of its
 * window. A run that fails leaves the file unchanged.
 *
 * null and undefined become an empty field, and an empty string becomes `""`. A `Date` is written in ISO 8601, a `Uint8Array` in base64,
 * objects and arrays as JSON.
 *
 * @throws PikoError `SINK_FAILED` naming every wrong option
 * @example
 * const OrderFiles = csv({ model: Order, path: 'out/{job}/{window}.csv', bom: true })
 */
export function csv<M extends RowModel>(options: CsvOptions<M>): FileSinkClass<M> {
  return fileSink<M, CsvOptions<M>>(options, {
    name: 'csv',
    checks: CHECKS,
    problems: ({ model, columns }) =>
      columnsOf(model, columns).length > 0 ? [] : ['columns is missing, and the model does not reveal its properties'],
    format: ({ model, columns, header = true, delimiter = ',', bom = false }) => {
      const properties = columnsOf(model, columns)
      const fields = (values: readonly string[]): string => values.join(delimiter) + LINE_END
      const isSpecial = new RegExp(`["\\r\\n${delimiter.replace(/[\\\]^-]/g, '\\$&')}]`)
      const head = (bom ? '\ufeff' : '') + (header ? fields(properties.map((name) => quotedText(name, isSpecial))) : '')
      const line = (row: object, where: () => string): string =>
        fields(
          properties.map((property) => field((row as Record<string, unknown>)[property], property, where, isSpecial)),
        )
      return { begin: (file, place) => new LineEncoder(file, place, line, head) }
    },
  })
}

function columnsOf(model: RowModel, columns: readonly string[] | undefined): readonly string[] {
  return columns ?? (modelColumns(model) ?? []).map(({ property }) => property)
}

function field(value: unknown, property: string, where: () => string, isSpecial: RegExp): string {
  const unfit = (): never => {
    throw unfitValue(
      where(),
      property,
      value,
      'a finite number, a string, a date, bytes, a plain object, an array or null',
    )
  }
  switch (typeof value) {
    case 'undefined':
      return ''
    case 'string':
      return value.isWellFormed() ? quotedText(value, isSpecial) : unfit()
    case 'boolean':
    case 'bigint':
      return quotedText(String(value), isSpecial)
    case 'number':
      return Number.isFinite(value) ? quotedText(String(value), isSpecial) : unfit()
    case 'object':
      if (value === null) return ''
      if (value instanceof Date)
        return Number.isNaN(value.getTime()) ? unfit() : quotedText(value.toISOString(), isSpecial)
      if (value instanceof Uint8Array)
        return quotedText(Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64'), isSpecial)
      return quotedText(jsonText({ value }, where).slice('{"value":'.length, -1), isSpecial)
    default:
      return unfit()
  }
}

/** Quotes a string where necessary. An empty string is quoted, so that it differs from null. */
function quotedText(text: string, isSpecial: RegExp): string {
  if (text !== '' && !isSpecial.test(text)) return text
  return `"${text.replaceAll('"', '""')}"`
}

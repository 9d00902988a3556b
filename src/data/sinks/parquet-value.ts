import { jsonText } from './json-text.ts'
import { unfitValue } from './row-text.ts'

export interface ParquetColumn {
  readonly name: string
  readonly type: 'text' | 'int32' | 'integer' | 'double' | 'boolean' | 'instant' | 'json' | 'bytes'
  readonly isNullable: boolean
}

const MAX_INT32 = 2 ** 31
const MAX_INT64 = 2n ** 63n

/**
 * Converts a value to the form that the library stores in a column.
 *
 * @param where the position of the row, for messages
 * @throws PikoError `SINK_ROW_INVALID` if the column can't store the value exactly
 */
export function parquetValue(value: unknown, { name, type, isNullable }: ParquetColumn, where: () => string): unknown {
  const unfit = (expected: string): never => {
    throw unfitValue(where(), name, value, expected)
  }
  if (value === undefined || value === null)
    return isNullable ? null : unfit('a value, because the column does not accept null')
  switch (type) {
    case 'text':
      return typeof value === 'string' && value.isWellFormed() ? value : unfit('a string')
    case 'int32':
      return typeof value === 'number' && Number.isInteger(value) && value >= -MAX_INT32 && value < MAX_INT32
        ? value
        : unfit('an integer of 32 bits')
    case 'integer':
      return integer64(value) ?? unfit('an integer of 64 bits')
    case 'double':
      return typeof value === 'number' ? value : unfit('a number')
    case 'boolean':
      return typeof value === 'boolean' ? value : unfit('true or false')
    case 'instant':
      return value instanceof Date && !Number.isNaN(value.getTime()) ? BigInt(value.getTime()) : unfit('a date')
    case 'json':
      return Buffer.from(jsonText({ value }, where).slice('{"value":'.length, -1))
    case 'bytes':
      return value instanceof Uint8Array ? value : unfit('bytes')
  }
}

function integer64(value: unknown): bigint | undefined {
  const integer = typeof value === 'number' && Number.isSafeInteger(value) ? BigInt(value) : value
  return typeof integer === 'bigint' && integer >= -MAX_INT64 && integer < MAX_INT64 ? integer : undefined
}

import { chainOf, propertyOf } from '../../errors-read.ts'
import { isPikoError, toError } from '../../errors.ts'
import { retryTimingOf } from '../../run/retry-errors.ts'
import { databaseFault } from '../../sql/database-faults.ts'

/** Error codes of Node, undici and Piko which mean that the target can't be reached, does not answer, or can't store anything. */
const OUTAGE_CODE =
  /^(?:ECONN(?:REFUSED|RESET|ABORTED)|EPIPE|ETIMEDOUT|ENOTFOUND|EAI_AGAIN|E(?:HOST|NET)(?:UNREACH|DOWN)|ENETRESET|ENOSPC|EDQUOT|EROFS|EIO|ERR_SOCKET_\w+|PROTOCOL_CONNECTION_LOST|PROTOCOL_SEQUENCE_TIMEOUT|UND_ERR_(?:CONNECT_TIMEOUT|HEADERS_TIMEOUT|BODY_TIMEOUT|SOCKET|CLOSED|DESTROYED)|DATABASE_(?:UNREACHABLE|TIMEOUT|GONE)|TIMEOUT|HTTP_FAILED)$/

/** HTTP statuses which mean that the server may accept the same request later. */
const BUSY_STATUSES: readonly unknown[] = [408, 425, 429]

/** Whether an error means that the target is down or accepts no rows now. Then the rows are not the cause. */
export function isOutage(error: unknown, isOutageToUser?: (error: Error) => boolean): boolean {
  if (isOutageToUser) return isOutageToUser(toError(error))
  if (databaseFault(error) === 'outage' || retryTimingOf(error)) return true
  return chainOf(error).some((link) => {
    const code = propertyOf(link, 'code')
    if (typeof code === 'string' && OUTAGE_CODE.test(code)) return true
    if (propertyOf(link, 'name') === 'TimeoutError') return true
    return ['status', 'statusCode'].some((name) => isBusy(propertyOf(link, name)))
  })
}

function isBusy(status: unknown): boolean {
  return BUSY_STATUSES.includes(status) || (typeof status === 'number' && status >= 500 && status <= 599)
}

/** Whether the target has rows of a newer run. Then this run's rows must not be written. */
export function isStale(error: unknown): boolean {
  return chainOf(error).some((link) => {
    const newer = isPikoError(link) ? propertyOf(link.details, 'newerFence') : propertyOf(link, 'newerFence')
    return newer !== undefined
  })
}

export { defineShared, type SharedSpec } from './define-shared.ts'
export type {
  SharedDefinition,
  SharedHandle,
  SharedHistory,
  SharedReason,
  SharedRecord,
  SharedVersion,
  SharedWait,
} from '../job/shared-value.ts'

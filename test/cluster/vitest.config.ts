import { defineConfig } from 'vitest/config'
import base from '../../vitest.config.ts'

/** Tests on a cluster of servers, separate because the cluster takes a minute to start. */
export default defineConfig({
  ...base,
  test: { ...base.test, include: ['test/cluster/**/*.test.ts'], exclude: [], globalSetup: [] },
})

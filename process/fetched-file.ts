import { open } from 'node:fs/promises'
import { join } from 'node:path'
import type { FetchedFile } from '../client/replay/replay-material.js'
import type { BlobRef } from '../proto/model.js'

/** A new file in `folder` for a blob that is being fetched, named by its digest. */
export async function fetchedFile(folder: string, blob: BlobRef): Promise<FetchedFile> {
  const path = join(folder, blob.digest)
  const file = await open(path, 'w', 0o600)
  return {
    path,
    write: async (offset, bytes) => void (await file.write(bytes, 0, bytes.length, offset)),
    finish: () => file.close(),
  }
}

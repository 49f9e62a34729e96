import { useQuery } from "@tanstack/react-query";
import { Download, FileUp, FolderUp, Upload, X } from "lucide-react";
import { type FormEvent, type ReactNode, useId, useRef, useState } from "react";
import { featuresQuery } from "../../api/queries.ts";
import { formatBytes } from "../../lib/bytes.ts";
import { visible } from "../../lib/invisible.ts";
import { Button, IconButton } from "../../ui/Button.tsx";
import { isComposing } from "../../ui/keys.ts";
import { Modal } from "../../ui/Modal.tsx";
import { useStore } from "../../ui/useStore.ts";
import {
  addDropped,
  addFolder,
  type CopyQuestion,
  copyAsked,
  type Dropped,
  download,
  droppedFiles,
  fileTrouble,
  leaveOut,
  needsFolder,
  pathTrouble,
  proposedPath,
  upload,
} from "./copying.ts";
import { HELD_BYTES, savePicker } from "./landing.ts";
import { isReason, ReasonField } from "./ReasonField.tsx";
import { focusActive } from "./store.ts";
import type { Place, Upload as UploadItem } from "./transfers.ts";
import { useNeedsReason } from "./useNeedsReason.ts";

/** Asks which files, and where to or from. */
export function CopyDialogs() {
  const asked = useStore(copyAsked);
  if (!asked) return null;
  return asked.way === "up" ? <UploadDialog asked={asked} /> : <DownloadDialog asked={asked} />;
}

const close = () => copyAsked.set(null);

/** The largest file in bytes; null while that is not known. */
function useLimit(): number | null {
  return useQuery(featuresQuery()).data?.exec?.maxFileBytes ?? null;
}

function UploadDialog({ asked }: { asked: Extract<CopyQuestion, { way: "up" }> }) {
  const { files, packing, refused } = asked;
  const limit = useLimit();
  const [path, setPath] = useState(() => proposedPath(asked));
  const good = files.filter((file) => fileTrouble(file, limit) === "");
  const into = needsFolder(good);
  return (
    <CopyForm
      asked={asked}
      title="Upload files"
      icon={<Upload aria-hidden className="size-4" />}
      verb={good.length > 1 ? `Upload ${good.length} files` : "Upload"}
      ready={good.length > 0 && packing === 0 && pathTrouble(path) === ""}
      limit={limit}
      each={files.length !== 1}
      onSubmit={(reason) => upload(asked, good, path, reason)}
      onDrop={addDropped}
    >
      <Choose first={files.length === 0} />
      {files.length > 0 ? (
        <ul aria-label="Files to upload" className="mt-2 max-h-48 overflow-auto rounded-md border border-line">
          {files.map((file, at) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: two files may be the same in all that is known of them
            <Chosen key={at} file={file} trouble={fileTrouble(file, limit)} />
          ))}
        </ul>
      ) : null}
      {packing > 0 ? (
        <p role="status" className="mt-2 text-xs text-muted">
          Reading what is in {packing === 1 ? "the folder" : `${packing} folders`}
        </p>
      ) : null}
      {refused.map((why) => (
        <p key={why} role="alert" className="mt-2 text-xs wrap-anywhere text-broken">
          {oneLine(why)}
        </p>
      ))}
      <PathField
        label={into ? "Into the folder" : "To"}
        path={path}
        onChange={setPath}
        focus={files.length > 0}
        hint={
          into
            ? "A folder in the container. What is there under the same name is replaced."
            : "A folder in the container, or the whole path of the file. One that is there is replaced."
        }
      />
    </CopyForm>
  );
}

function DownloadDialog({ asked }: { asked: CopyQuestion }) {
  const limit = useLimit();
  const [path, setPath] = useState(() => proposedPath(asked));
  return (
    <CopyForm
      asked={asked}
      title="Download"
      icon={<Download aria-hidden className="size-4" />}
      verb="Download"
      ready={pathTrouble(path) === ""}
      limit={savePicker() || limit === null ? limit : Math.min(limit, HELD_BYTES)}
      onSubmit={(reason) => download(asked, path, reason)}
    >
      <PathField
        label="From"
        path={path}
        onChange={setPath}
        focus
        hint="A file in the container. A folder comes as a tar archive."
      />
    </CopyForm>
  );
}

interface CopyFormProps {
  asked: CopyQuestion;
  title: string;
  icon: ReactNode;
  verb: string;
  ready: boolean;
  limit: number | null;
  /** There may be several files. */
  each?: boolean;
  onSubmit(reason: string): void;
  onDrop?(dropped: Dropped): void;
  children: ReactNode;
}

function CopyForm({ asked, title, icon, verb, ready, limit, each = false, onSubmit, onDrop, children }: CopyFormProps) {
  const { place } = asked;
  const needsReason = useNeedsReason(place);
  const [reason, setReason] = useState("");
  const off = limit === 0;
  const may = ready && !off && (!needsReason || isReason(reason));
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!may) return;
    close();
    onSubmit(needsReason ? reason.trim() : place.reason);
  };
  return (
    <Modal
      onClose={close}
      focusAfter={focusActive}
      width="max-w-lg"
      title={title}
      description={<Where place={place} />}
    >
      <form
        onSubmit={submit}
        onDragOver={(event) => event.preventDefault()}
        onDrop={(event) => {
          event.preventDefault();
          onDrop?.(droppedFiles(event.dataTransfer));
        }}
      >
        {off ? <p className="text-sm text-broken">{SWITCHED_OFF}</p> : children}
        {needsReason && !off ? <ReasonField value={reason} onChange={setReason} focus={false} /> : null}
        <div className="mt-5 flex flex-wrap items-center justify-end gap-2">
          {limit !== null && !off ? (
            <span className="mr-auto text-xs text-muted max-sm:w-full">
              At most {formatBytes(limit)}
              {each ? " each" : ""}
            </span>
          ) : null}
          <Button onClick={close}>Cancel</Button>
          <Button type="submit" look="primary" disabled={!may}>
            {icon}
            {verb}
          </Button>
        </div>
      </form>
    </Modal>
  );
}

/** As the server says it. */
const SWITCHED_OFF =
  "Copying files is switched off here. Ask whoever runs this server to set PERISCOPE_EXEC_MAX_FILE_MIB if you need it.";

/** cluster · namespace/pod · container. */
export function Where({ place }: { place: Place }) {
  return (
    <span className="font-mono text-xs wrap-anywhere">
      {place.cluster} · {place.namespace}/{place.pod} · {place.container}
    </span>
  );
}

function Choose({ first }: { first: boolean }) {
  return (
    <div
      className={`flex items-stretch gap-2 *:flex-1 ${first ? "h-20" : "h-9"} ${first ? "max-sm:h-auto max-sm:flex-col" : ""}`}
    >
      <ChooseButton
        icon={<FileUp aria-hidden className="size-4 shrink-0 text-muted" />}
        label={first ? "Choose files, or drop them here" : "More files"}
        focus={first}
        onChoose={(files) => addDropped({ files, folders: [] })}
      />
      <ChooseButton
        icon={<FolderUp aria-hidden className="size-4 shrink-0 text-muted" />}
        label={first ? "Choose a folder" : "A folder"}
        folder
        onChoose={addFolder}
      />
    </div>
  );
}

interface ChooseButtonProps {
  icon: ReactNode;
  label: string;
  folder?: boolean;
  focus?: boolean;
  onChoose(files: File[]): void;
}

function ChooseButton({ icon, label, folder = false, focus = false, onChoose }: ChooseButtonProps) {
  const field = useRef<HTMLInputElement>(null);
  return (
    <>
      <input
        ref={field}
        type="file"
        multiple
        hidden
        aria-label={folder ? "Folder to upload" : "Files to upload"}
        {...(folder ? { webkitdirectory: "" } : {})}
        onChange={(event) => {
          onChoose([...(event.target.files ?? [])]);
          // The same file can be chosen once more.
          event.target.value = "";
        }}
      />
      <button
        type="button"
        autoFocus={focus}
        onClick={() => field.current?.click()}
        className="flex min-h-9 items-center justify-center gap-2 rounded-md border border-dashed border-line-strong px-3 text-sm hover:bg-hover"
      >
        {icon}
        {label}
      </button>
    </>
  );
}

function Chosen({ file, trouble }: { file: UploadItem; trouble: string }) {
  const name = oneLine(file.folder ? `${file.name}/` : file.name);
  return (
    <li className="flex items-center gap-2 border-b border-line py-1 pr-1 pl-3 last:border-0">
      <span className="min-w-0 flex-1">
        <span className="block truncate font-mono text-xs" title={name}>
          {name}
        </span>
        {trouble ? <span className="block text-xs text-broken">{trouble}</span> : null}
      </span>
      <span className="shrink-0 text-xs text-muted tabular-nums">{formatBytes(file.size)}</span>
      <IconButton label={`Leave out ${name}`} icon={<X className="size-3.5" />} onClick={() => leaveOut(file)} />
    </li>
  );
}

/** Line ends too are shown as what they are. */
export function oneLine(text: string): string {
  return visible(text).replace(/\n/g, "␊").replace(/\r/g, "␍").replace(/\t/g, "␉");
}

interface PathFieldProps {
  label: string;
  path: string;
  onChange(path: string): void;
  hint: string;
  focus: boolean;
}

/** A path may hold line ends, which a field of one line would drop without a word, so that it named another file. */
function PathField({ label, path, onChange, hint, focus }: PathFieldProps) {
  const note = useId();
  const trouble = path === "" ? "" : pathTrouble(path);
  const words = trouble || (path.includes("\n") ? "The path has a line break in it, and is used with it." : hint);
  return (
    <div className="mt-4">
      <label>
        <span className="mb-1 block text-xs font-medium text-muted">{label}</span>
        <textarea
          value={path}
          rows={Math.min(4, path.split("\n").length)}
          autoFocus={focus}
          spellCheck={false}
          autoCapitalize="off"
          autoComplete="off"
          placeholder="/path/in/the/container"
          aria-describedby={note}
          aria-invalid={trouble !== ""}
          onChange={(event) => onChange(event.target.value)}
          onKeyDown={(event) => {
            if (event.key !== "Enter" || isComposing(event.nativeEvent)) return;
            event.preventDefault();
            event.currentTarget.form?.requestSubmit();
          }}
          className="block w-full resize-none overflow-auto rounded-md border border-line-strong bg-surface px-2 py-1.5 font-mono text-sm whitespace-pre placeholder:text-muted aria-invalid:border-broken"
        />
      </label>
      <p
        id={note}
        role={trouble ? "alert" : undefined}
        className={`mt-1 text-xs ${trouble ? "text-broken" : "text-muted"}`}
      >
        {words}
      </p>
    </div>
  );
}

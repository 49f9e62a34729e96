import { useQuery } from "@tanstack/react-query";
import { Download, FileUp, FolderX, Upload, X } from "lucide-react";
import { type FormEvent, type ReactNode, useId, useRef, useState } from "react";
import { clustersQuery, featuresQuery } from "../../api/queries.ts";
import { formatBytes } from "../../lib/bytes.ts";
import { visible } from "../../lib/invisible.ts";
import { Button, IconButton } from "../../ui/Button.tsx";
import { Modal } from "../../ui/Modal.tsx";
import { useStore } from "../../ui/useStore.ts";
import {
  type CopyQuestion,
  copyAsked,
  download,
  droppedFiles,
  fileTrouble,
  pathTrouble,
  proposedPath,
  upload,
} from "./copying.ts";
import { HELD_BYTES, savePicker } from "./landing.ts";
import { isReason, ReasonField } from "./ReasonField.tsx";
import { focusActive } from "./store.ts";
import type { Place } from "./transfers.ts";

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

/** A shell that was taken over, or came back, may not say why it was opened. */
function useNeedsReason({ cluster, reason }: Place): boolean {
  const { data } = useQuery({ ...clustersQuery(), refetchInterval: false });
  return reason === "" && (data?.find(({ name }) => name === cluster)?.requireReason ?? false);
}

function UploadDialog({ asked }: { asked: Extract<CopyQuestion, { way: "up" }> }) {
  const limit = useLimit();
  const [files, setFiles] = useState(asked.files);
  const [folders, setFolders] = useState(asked.folders);
  const [path, setPath] = useState(() => proposedPath(asked));
  const good = files.filter((file) => fileTrouble(file, limit) === "");
  const add = (more: readonly File[]) => setFiles((now) => [...now, ...more]);
  return (
    <CopyForm
      asked={asked}
      title="Upload files"
      icon={<Upload aria-hidden className="size-4" />}
      verb={good.length > 1 ? `Upload ${good.length} files` : "Upload"}
      ready={good.length > 0 && pathTrouble(path) === ""}
      limit={limit}
      onSubmit={(reason) => upload(asked, good, path, reason)}
      onDrop={(dropped) => {
        add(dropped.files);
        setFolders((now) => [...now, ...dropped.folders]);
      }}
    >
      <ChooseFiles first={files.length === 0} onChoose={add} />
      {files.length > 0 ? (
        <ul aria-label="Files to upload" className="mt-2 max-h-48 overflow-auto rounded-md border border-line">
          {files.map((file, at) => (
            <Chosen
              // biome-ignore lint/suspicious/noArrayIndexKey: two files may be the same in all that is known of them
              key={at}
              file={file}
              trouble={fileTrouble(file, limit)}
              onRemove={() => setFiles((now) => now.filter((other) => other !== file))}
            />
          ))}
        </ul>
      ) : null}
      {folders.length > 0 ? <NoFolders names={folders} /> : null}
      <PathField
        label={good.length > 1 ? "Into the folder" : "To"}
        path={path}
        onChange={setPath}
        focus={files.length > 0}
        hint={
          good.length > 1
            ? "A folder in the container. A file there that has the same name is replaced."
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
  onSubmit(reason: string): void;
  onDrop?(dropped: ReturnType<typeof droppedFiles>): void;
  children: ReactNode;
}

function CopyForm({ asked, title, icon, verb, ready, limit, onSubmit, onDrop, children }: CopyFormProps) {
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
            <span className="mr-auto text-xs text-muted max-sm:w-full">At most {formatBytes(limit)} each</span>
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

function Where({ place }: { place: Place }) {
  return (
    <span className="font-mono text-xs wrap-anywhere">
      {place.cluster} · {place.namespace}/{place.pod} · {place.container}
    </span>
  );
}

function ChooseFiles({ first, onChoose }: { first: boolean; onChoose(files: File[]): void }) {
  const field = useRef<HTMLInputElement>(null);
  return (
    <>
      <input
        ref={field}
        type="file"
        multiple
        hidden
        aria-label="Files to upload"
        onChange={(event) => {
          onChoose([...(event.target.files ?? [])]);
          // The same file can be chosen once more.
          event.target.value = "";
        }}
      />
      <button
        type="button"
        autoFocus={first}
        onClick={() => field.current?.click()}
        className={`flex w-full items-center justify-center gap-2 rounded-md border border-dashed border-line-strong px-3 text-sm hover:bg-hover ${first ? "h-24 flex-col" : "h-9"}`}
      >
        <FileUp aria-hidden className={first ? "size-5 text-muted" : "size-4 text-muted"} />
        {first ? "Choose files, or drop them here" : "Choose more files"}
      </button>
    </>
  );
}

function Chosen({ file, trouble, onRemove }: { file: File; trouble: string; onRemove(): void }) {
  const name = oneLine(file.name);
  return (
    <li className="flex items-center gap-2 border-b border-line py-1 pr-1 pl-3 last:border-0">
      <span className="min-w-0 flex-1">
        <span className="block truncate font-mono text-xs" title={name}>
          {name}
        </span>
        {trouble ? <span className="block text-xs text-broken">{trouble}</span> : null}
      </span>
      <span className="shrink-0 text-xs text-muted tabular-nums">{formatBytes(file.size)}</span>
      <IconButton label={`Leave out ${name}`} icon={<X className="size-3.5" />} onClick={onRemove} />
    </li>
  );
}

/** Line ends too are shown as what they are. */
export function oneLine(text: string): string {
  return visible(text).replace(/\n/g, "␊").replace(/\r/g, "␍").replace(/\t/g, "␉");
}

function NoFolders({ names }: { names: readonly string[] }) {
  return (
    <p role="alert" className="mt-2 flex items-start gap-2 text-xs text-attention">
      <FolderX aria-hidden className="mt-0.5 size-3.5 shrink-0" />
      <span className="wrap-anywhere">
        {names.map(oneLine).join(", ")}: {names.length === 1 ? "a folder is" : "folders are"} not uploaded from the
        page. Pack {names.length === 1 ? "it" : "them"} into an archive first, or use periscope cp.
      </span>
    </p>
  );
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
            if (event.key !== "Enter" || event.nativeEvent.isComposing) return;
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

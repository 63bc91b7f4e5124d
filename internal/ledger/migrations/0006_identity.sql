-- What a checkpoint's snapshot stands for, and whether the database is the one that it was written in.
alter table walpost.checkpoint
    add column coverage text not null default '',
    add column written_by xid8;
comment on column walpost.checkpoint.coverage is 'The state of the publication when the snapshot was taken; another state may have left rows out.';
comment on column walpost.checkpoint.written_by is 'The transaction that wrote this row. It is the row''s xmin, unless the row was copied: by a dump, but not with the files.';

//! A campaign's files into the uploads bucket of a stack on AWS.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::ChecksumMode;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use md5::Md5;
use quorate_core::campaign::hex;
use sha2::{Digest as _, Sha256};

use super::apply::{Copied, Files};
use crate::commands::deployed::{Deployed, explain};
use crate::commands::progress;

/// Files that are under way at once.
const AT_ONCE: usize = 16;

/// Uploads what is not there yet, with the same bytes.
pub(super) async fn upload(files: &Files, stack: &Deployed) -> anyhow::Result<Copied> {
    let there = list(stack, &format!("{}/", files.name)).await?;
    let bar = progress(files.count(), "uploading");
    let mut copied = Copied::default();
    for group in &files.groups {
        let mut done = stream::iter(group)
            .map(|(key, path)| upload_file(stack, key, path, there.get(key)))
            .buffer_unordered(AT_ONCE);
        while let Some(was_same) = done.try_next().await? {
            if was_same {
                copied.same += 1;
            } else {
                copied.new += 1;
            }
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    Ok(copied)
}

/// What a bucket says of an object.
struct There {
    size: u64,
    etag: String,
}

/// What is in the uploads bucket, by key.
async fn list(stack: &Deployed, prefix: &str) -> anyhow::Result<HashMap<String, There>> {
    let bucket = &stack.uploads;
    let mut pages = stack
        .s3
        .list_objects_v2()
        .bucket(bucket)
        .prefix(prefix)
        .into_paginator()
        .send();
    let mut there = HashMap::new();
    while let Some(page) = pages.next().await {
        let page = page
            .map_err(|error| explain(&error, "s3:ListBucket"))
            .with_context(|| format!("cannot list s3://{bucket}/{prefix}"))?;
        for object in page.contents() {
            let size = object.size().and_then(|size| u64::try_from(size).ok());
            let (Some(key), Some(size), Some(etag)) = (object.key(), size, object.e_tag()) else {
                continue;
            };
            let etag = etag.trim_matches('"').to_owned();
            there.insert(key.to_owned(), There { size, etag });
        }
    }
    Ok(there)
}

/// Uploads a file, unless the same bytes are there; whether they were.
async fn upload_file(
    stack: &Deployed,
    key: &str,
    path: &Path,
    there: Option<&There>,
) -> anyhow::Result<bool> {
    let (bucket, shown) = (&stack.uploads, path.display());
    let here = Here::of(path.to_owned())
        .await
        .with_context(|| format!("cannot read {shown}"))?;
    if let Some(there) = there.filter(|there| there.size == here.size) {
        let same = is_same(stack, key, there, &here).await;
        if same.with_context(|| format!("cannot compare {shown} with s3://{bucket}/{key}"))? {
            return Ok(true);
        }
    }
    let body = ByteStream::from_path(path)
        .await
        .with_context(|| format!("cannot read {shown}"))?;
    stack
        .s3
        .put_object()
        .bucket(bucket)
        .key(key)
        // S3 refuses what does not match: a file that changes meanwhile is not uploaded in half.
        .checksum_sha256(&here.sha256)
        .body(body)
        .send()
        .await
        .map_err(|error| explain(&error, "s3:PutObject"))
        .with_context(|| format!("cannot upload {shown} to s3://{bucket}/{key}"))?;
    Ok(false)
}

/// What a file holds.
struct Here {
    size: u64,
    /// In hex, as an etag.
    md5: String,
    /// In Base64, as S3 keeps it.
    sha256: String,
}

impl Here {
    async fn of(path: PathBuf) -> io::Result<Self> {
        let read = tokio::task::spawn_blocking(move || Self::read(&path));
        read.await.map_err(io::Error::other)?
    }

    fn read(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let (mut size, mut md5, mut sha256) = (0, Md5::new(), Sha256::new());
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let count = file.read(&mut buffer)?;
            let Some(chunk @ [_, ..]) = buffer.get(..count) else {
                break;
            };
            size += chunk.len() as u64;
            md5.update(chunk);
            sha256.update(chunk);
        }
        Ok(Self {
            size,
            md5: hex(&md5.finalize()),
            sha256: BASE64_STANDARD.encode(sha256.finalize()),
        })
    }
}

/// Whether an object of a file's size has its bytes. The etag tells if it is their MD5, which it is
/// not of objects that are encrypted with a key of one's own or came in parts; else the checksum
/// does, which objects have that this command uploaded; else the bytes have to be read.
async fn is_same(stack: &Deployed, key: &str, there: &There, here: &Here) -> anyhow::Result<bool> {
    if there.etag == here.md5 {
        return Ok(true);
    }
    let mut object = stack
        .s3
        .get_object()
        .bucket(&stack.uploads)
        .key(key)
        .checksum_mode(ChecksumMode::Enabled)
        .send()
        .await
        .map_err(|error| explain(&error, "s3:GetObject"))?;
    // A checksum of checksums, of an object that came in parts, has their number behind a dash.
    if let Some(sha256) = object.checksum_sha256().filter(|sum| !sum.contains('-')) {
        return Ok(sha256 == here.sha256);
    }
    let mut sha256 = Sha256::new();
    while let Some(chunk) = object.body.try_next().await? {
        sha256.update(&chunk);
    }
    Ok(BASE64_STANDARD.encode(sha256.finalize()) == here.sha256)
}

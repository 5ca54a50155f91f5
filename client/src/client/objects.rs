//! Calls about objects.

use bytes::Bytes;
use trine_protocol::reply::Reply;
use trine_protocol::request::{ObjectEdit, ObjectGet, ObjectList};
use trine_protocol::{Edit, Missing, ObjectKind, ObjectPage, ObjectView, Request, RequestError};

use super::Client;
use super::views::expect_reply;
use crate::CallOptions;
use crate::error::ClientError;

impl Client {
    /// Reads an object; none when there is none.
    ///
    /// # Errors
    /// [`ClientError`]; a namespace that is not known is one.
    pub async fn object_get(&self, namespace: &str, key: &str) -> Result<Option<ObjectView>, ClientError> {
        self.object_get_with(&CallOptions::default(), namespace, key).await
    }

    /// Reads an object as the call wants it.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn object_get_with(
        &self,
        call: &CallOptions,
        namespace: &str,
        key: &str,
    ) -> Result<Option<ObjectView>, ClientError> {
        let request = Request::ObjectGet(ObjectGet { namespace: namespace.to_owned(), key: key.to_owned() });
        match self.request(call, request).await {
            Err(ClientError::Request(RequestError::NotFound { what: Missing::Object { .. } })) => Ok(None),
            Err(error) => Err(error),
            Ok(answer) => expect_reply!(answer, "object get", Reply::Object(view) => Some(view)),
        }
    }

    /// The objects of a namespace whose keys begin with `prefix`, in key order: a page of them. Go on with `after` set to the
    /// page's `next` until there is none; a page may be short, even empty, before that. What a list shows does not become
    /// part of the session.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn object_list(
        &self,
        namespace: &str,
        prefix: &str,
        kind: Option<ObjectKind>,
        after: Option<String>,
        limit: u32,
    ) -> Result<ObjectPage, ClientError> {
        let (namespace, prefix) = (namespace.to_owned(), prefix.to_owned());
        let request = Request::ObjectList(ObjectList { namespace, prefix, kind, after, limit });
        let answer = self.request(&CallOptions::default(), request).await?;
        expect_reply!(answer, "object list", Reply::Objects(page) => page)
    }

    /// Changes an object and returns it as it is after that.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn object_edit(&self, namespace: &str, key: &str, edit: Edit) -> Result<ObjectView, ClientError> {
        self.object_edit_with(&CallOptions::default(), namespace, key, edit).await
    }

    /// Changes an object as the call wants it. Never sent twice unless the first time did nothing.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn object_edit_with(
        &self,
        call: &CallOptions,
        namespace: &str,
        key: &str,
        edit: Edit,
    ) -> Result<ObjectView, ClientError> {
        let request = Request::ObjectEdit(ObjectEdit { namespace: namespace.to_owned(), key: key.to_owned(), edit });
        let answer = self.request(call, request).await?;
        expect_reply!(answer, "object edit", Reply::Object(view) => view)
    }

    /// Adds to a counter; negative subtracts.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn incr(&self, namespace: &str, key: &str, by: i64) -> Result<ObjectView, ClientError> {
        self.object_edit(namespace, key, Edit::Increment(by)).await
    }

    /// Sets a register; the latest by hybrid time wins.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn set(&self, namespace: &str, key: &str, value: impl Into<Bytes>) -> Result<ObjectView, ClientError> {
        self.object_edit(namespace, key, Edit::Set(value.into())).await
    }

    /// Puts into a multi-value register.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn put(&self, namespace: &str, key: &str, value: impl Into<Bytes>) -> Result<ObjectView, ClientError> {
        self.object_edit(namespace, key, Edit::Put(value.into())).await
    }

    /// Adds an element to a set.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn add(&self, namespace: &str, key: &str, element: impl Into<Bytes>) -> Result<ObjectView, ClientError> {
        self.object_edit(namespace, key, Edit::Add(element.into())).await
    }

    /// Removes an element from a set.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn remove(
        &self,
        namespace: &str,
        key: &str,
        element: impl Into<Bytes>,
    ) -> Result<ObjectView, ClientError> {
        self.object_edit(namespace, key, Edit::Remove(element.into())).await
    }

    /// Removes a whole object, as far as the answering node has seen it.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn object_delete(&self, namespace: &str, key: &str) -> Result<(), ClientError> {
        let edit = Edit::Delete;
        let request = Request::ObjectEdit(ObjectEdit { namespace: namespace.to_owned(), key: key.to_owned(), edit });
        let answer = self.request(&CallOptions::default(), request).await?;
        expect_reply!(answer, "object delete", Reply::Object(_) => (), Reply::Done => ())
    }
}

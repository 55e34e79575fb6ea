//! Skills and the workers who have them.

use futures_util::Stream;

use super::{Client, SkillQuery, UserSkillQuery, transport::Request};
use crate::{
    Error, limits,
    types::{Page, SetUserSkill, Skill, UserSkill},
};

impl Client {
    /// Creates a skill. Not repeated after a lost answer: names are treated as keys, so look for
    /// it with [`Client::find_skills`] before.
    ///
    /// # Errors
    /// [`Error::Validation`] names the fields that the platform refuses.
    pub async fn create_skill(&self, skill: &Skill) -> Result<Skill, Error> {
        self.send(Request::post(["v1", "skills"]).json(skill)?)
            .await?
            .json()
    }

    /// Reads a skill.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none.
    pub async fn get_skill(&self, skill_id: &str) -> Result<Skill, Error> {
        self.send(Request::get(["v1", "skills", skill_id]))
            .await?
            .json()
    }

    /// One page of skills.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn find_skills(&self, query: &SkillQuery) -> Result<Page<Skill>, Error> {
        self.find("skills", query).await
    }

    /// All skills that match, page by page, by id.
    pub fn skills(
        &self,
        query: SkillQuery,
    ) -> impl Stream<Item = Result<Skill, Error>> + Send + use<> {
        self.stream("skills", limits::SKILL_PAGE, query, |item: &Skill| &item.id)
    }

    /// Replaces a skill.
    ///
    /// # Errors
    /// [`Error::Validation`] names the fields that the platform refuses.
    pub async fn update_skill(&self, skill_id: &str, skill: &Skill) -> Result<Skill, Error> {
        self.send(Request::put(["v1", "skills", skill_id]).json(skill)?)
            .await?
            .json()
    }

    /// Gives a worker a value of a skill, in place of the one before.
    ///
    /// # Errors
    /// [`Error::Validation`] names the fields that the platform refuses.
    pub async fn set_user_skill(&self, skill: &SetUserSkill) -> Result<UserSkill, Error> {
        self.send(Request::put(["v1", "user-skills"]).json(skill)?)
            .await?
            .json()
    }

    /// Reads a worker's value of a skill.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none.
    pub async fn get_user_skill(&self, user_skill_id: &str) -> Result<UserSkill, Error> {
        self.send(Request::get(["v1", "user-skills", user_skill_id]))
            .await?
            .json()
    }

    /// Takes a skill away from a worker. Tried again after a lost answer, so that
    /// [`Error::NotFound`] can also mean that an earlier try has taken it.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none.
    pub async fn delete_user_skill(&self, user_skill_id: &str) -> Result<(), Error> {
        let path = ["v1", "user-skills", user_skill_id];
        self.send(Request::delete(path)).await.map(drop)
    }

    /// One page of workers' skills.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn find_user_skills(&self, query: &UserSkillQuery) -> Result<Page<UserSkill>, Error> {
        self.find("user-skills", query).await
    }

    /// All workers' skills that match, page by page, by id.
    pub fn user_skills(
        &self,
        query: UserSkillQuery,
    ) -> impl Stream<Item = Result<UserSkill, Error>> + Send + use<> {
        self.stream(
            "user-skills",
            limits::USER_SKILL_PAGE,
            query,
            |item: &UserSkill| &item.id,
        )
    }
}
